package parts

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// sysctlPath is a setting of an interface, of ipv4 or ipv6.
func sysctlPath(name, family, key string) string {
	return "/proc/sys/net/" + family + "/conf/" + name + "/" + key
}

// sysctl reads a setting of the interface.
func (s *Site) sysctl(ctx context.Context, family, key string) (value string, err error) {
	return s.sysctlOf(ctx, s.Port.Name, family, key)
}

func (s *Site) sysctlOf(ctx context.Context, name, family, key string) (value string, err error) {
	err = s.Port.Guest.Do(ctx, func() error {
		b, err := os.ReadFile(sysctlPath(name, family, key))
		value = strings.TrimSpace(string(b))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = errs.New(errors.ErrUnsupported, "%s has no IPv6: the kernel lacks it, or the MTU is below the 1280 bytes that it needs", name)
	}
	return value, err
}

// setSysctl sets one of the interface's settings, unless it is set, or is more
// than was asked for (accept_ra is 2).
func (s *Site) setSysctl(ctx context.Context, family, key, value string) error {
	return s.setSysctlOf(ctx, s.Port.Name, family, key, value)
}

func (s *Site) setSysctlOf(ctx context.Context, name, family, key, value string) error {
	before, err := s.sysctlOf(ctx, name, family, key)
	if err != nil || before == value || key == "accept_ra" && before == "2" {
		return err
	}
	path := sysctlPath(name, family, key)
	write := func(ctx context.Context, value string) error {
		return s.Port.Guest.Do(ctx, func() error {
			if err := fault.Step(ctx, "sysctl "+key); err != nil {
				return err
			}
			return os.WriteFile(path, []byte(value), 0)
		})
	}
	err = write(ctx, value)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		return errs.New(fs.ErrPermission, "%s cannot be set to %s: /proc/sys must be writable", path, value)
	}
	if err != nil {
		return err
	}
	s.Undo.Push("sysctl "+key, func(ctx context.Context) error {
		if err := write(ctx, before); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	return nil
}
