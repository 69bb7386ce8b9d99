package link

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
)

// confDirs are where the kernel has settings of each interface, which begin anew whenever
// it moves to another namespace.
var confDirs = [...]string{"/proc/sys/net/ipv4/conf", "/proc/sys/net/ipv6/conf"}

// readConf are those of the interface's settings that differ from a new interface's, by
// their paths below the interface.
func readConf(ctx context.Context, h Host, name string) (conf map[string]string, err error) {
	err = enter(h)(ctx, func() error {
		if err := fault.Step(ctx, "read sysctls"); err != nil {
			return err
		}
		for _, dir := range confDirs {
			files, _ := os.ReadDir(filepath.Join(dir, name)) // none without IPv6
			for _, f := range files {
				value, set := readSetting(filepath.Join(dir, name, f.Name()))
				usual, known := readSetting(filepath.Join(dir, "default", f.Name()))
				// The kernel has its own way with an MTU, and stable_secret is one.
				if !set || !known || value == usual || f.Name() == "mtu" || f.Name() == "stable_secret" {
					continue
				}
				if conf == nil {
					conf = map[string]string{}
				}
				conf[filepath.Join(dir, "NAME", f.Name())] = value
			}
		}
		return nil
	})
	return conf, err
}

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
		for path, value := range w.Conf {
			path = filepath.Join(filepath.Dir(filepath.Dir(path)), name, filepath.Base(path))
			if now, ok := readSetting(path); !ok || now == value {
				continue
			}
			if err := fault.Step(ctx, "sysctl "+path); err != nil {
				return err
			}
			if err := writeSetting(path, value); err != nil {
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
	defer func(was string) { err = errors.Join(err, set(fault.Off(ctx), was)) }(was)
	return add(unix.IFA_F_OPTIMISTIC)
}

func writeSetting(path, value string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte(value))
		_ = unix.Close(fd)
	}
	if err != nil {
		return &os.PathError{Op: "write " + value + " to", Path: path, Err: err}
	}
	return nil
}
