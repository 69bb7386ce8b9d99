package link

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// confDirs are where the kernel has settings of each interface, which begin anew whenever
// it moves to another namespace.
var confDirs = [...]string{
	"/proc/sys/net/ipv4/conf", "/proc/sys/net/ipv6/conf", "/proc/sys/net/ipv4/neigh", "/proc/sys/net/ipv6/neigh",
}

// readConf are the interface's settings by their paths, with NAME for the interface; but for
// an MTU, with which the kernel has its own way, and mc_forwarding, which nobody can write.
// They may equal a new interface's now, and differ by the time it comes home.
func readConf(ctx context.Context, h Host, name string) (conf map[string]string, err error) {
	conf = map[string]string{}
	err = enter(h)(ctx, func() error {
		if err := fault.Step(ctx, "read sysctls"); err != nil {
			return err
		}
		for _, dir := range confDirs {
			files, _ := os.ReadDir(filepath.Join(dir, name)) // none without IPv6
			for _, f := range files {
				value, set := readSetting(filepath.Join(dir, name, f.Name()))
				if set && f.Name() != "mtu" && f.Name() != "mc_forwarding" {
					conf[filepath.Join(dir, "NAME", f.Name())] = value
				}
			}
		}
		return nil
	})
	return conf, err
}

// inOrder are the paths of settings in the order to write them in. A stable_secret changes
// addr_gen_mode. What the kernel has in two units is precise in that of the longer name, such
// as base_reachable_time_ms.
func inOrder(conf map[string]string) []string {
	var secrets, others []string
	for path := range conf {
		if isSecret(path) {
			secrets = append(secrets, path)
		} else {
			others = append(others, path)
		}
	}
	slices.Sort(others)
	return append(secrets, others...)
}

// isSecret says whether this is the setting that has no value, and cannot be read, until it is
// set (RFC 7217).
func isSecret(path string) bool { return filepath.Base(path) == "stable_secret" }

func readSetting(path string) (value string, ok bool) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err == nil
}

// restoreConf sets what differs. A setting that the kernel refuses is told.
func (w past) restoreConf(ctx context.Context, h Host, name string, warn func(string, ...any)) error {
	if len(w.Conf) == 0 {
		return nil
	}
	return enter(h)(ctx, func() error {
		for _, path := range inOrder(w.Conf) {
			value := w.Conf[path]
			path = filepath.Join(filepath.Dir(filepath.Dir(path)), name, filepath.Base(path))
			if now, ok := readSetting(path); now == value || !ok && !isSecret(path) {
				continue
			}
			if err := fault.Step(ctx, "sysctl "+path); err != nil {
				return err
			}
			err := writeSetting(path, value)
			if err != nil && (!isSecret(path) || !errors.Is(err, fs.ErrNotExist)) { // a kernel without IPv6 now
				warn("%s came back without a setting that it had: %v", name, err)
			}
		}
		return nil
	})
}

// usableAtOnce has add make IPv6 addresses with a flag that makes them usable at once: that of
// RFC 4429, which the interface's optimistic_dad permits meanwhile, or, where the kernel has
// not that (CONFIG_IPV6_OPTIMISTIC_DAD), that for no detection of duplicates.
func usableAtOnce(ctx context.Context, h Host, name string, add func(flag uint32) error) (err error) {
	path := filepath.Join("/proc/sys/net/ipv6/conf", name, "optimistic_dad")
	var was string
	set := func(ctx context.Context, value string) error {
		return enter(h)(ctx, func() error {
			if err := fault.Step(ctx, "sysctl "+path); err != nil {
				return err
			}
			was, _ = readSetting(path)
			return writeSetting(path, value)
		})
	}
	switch err := set(ctx, "1"); {
	case errors.As(err, new(*os.PathError)):
		return add(unix.IFA_F_NODAD)
	case err != nil:
		return err
	}
	defer func(was string) { err = errs.Join(err, set(fault.Off(ctx), was)) }(was)
	return add(unix.IFA_F_OPTIMISTIC)
}

func writeSetting(path, value string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte(value))
		_ = unix.Close(fd)
	}
	if err != nil {
		if isSecret(path) {
			value = "a secret"
		}
		return &os.PathError{Op: "write " + value + " to", Path: path, Err: err}
	}
	return nil
}
