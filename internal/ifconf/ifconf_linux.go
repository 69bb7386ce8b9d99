// Package ifconf reads and writes the settings that the kernel has of one interface below
// /proc/sys/net.
package ifconf

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
)

// A Do runs f on a thread that is in the interface's network namespace.
type Do func(ctx context.Context, f func() error) error

// confDirs are where the kernel has settings of each interface, which begin anew whenever
// it moves to another namespace.
var confDirs = [...]string{
	"/proc/sys/net/ipv4/conf", "/proc/sys/net/ipv6/conf", "/proc/sys/net/ipv4/neigh", "/proc/sys/net/ipv6/neigh",
}

// Read are the interface's settings by their paths, with NAME for the interface; but for
// an MTU, with which the kernel has its own way, and mc_forwarding, which nobody can write.
// They may equal a new interface's now, and differ by the time it comes home.
func Read(ctx context.Context, do Do, name string) (conf map[string]string, err error) {
	conf = map[string]string{}
	err = do(ctx, func() error {
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

// Write sets what differs on the interface called name. A setting that the kernel refuses is
// told to refused.
func Write(ctx context.Context, do Do, name string, conf map[string]string, refused func(error)) error {
	if len(conf) == 0 {
		return nil
	}
	return do(ctx, func() error {
		for _, path := range inOrder(conf) {
			value := conf[path]
			path = filepath.Join(filepath.Dir(filepath.Dir(path)), name, filepath.Base(path))
			if now, ok := readSetting(path); now == value || !ok && !isSecret(path) {
				continue
			}
			if err := fault.Step(ctx, "sysctl "+path); err != nil {
				return err
			}
			err := writeSetting(path, value)
			if err != nil && (!isSecret(path) || !errors.Is(err, fs.ErrNotExist)) { // a kernel without IPv6 now
				refused(err)
			}
		}
		return nil
	})
}

// Set sets one setting, such as /proc/sys/net/ipv6/conf/eth0/accept_dad, and returns what it was.
// A kernel that does not have it is an *os.PathError.
func Set(ctx context.Context, do Do, path, value string) (was string, err error) {
	err = do(ctx, func() error {
		if err := fault.Step(ctx, "sysctl "+path); err != nil {
			return err
		}
		was, _ = readSetting(path)
		return writeSetting(path, value)
	})
	return was, err
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
