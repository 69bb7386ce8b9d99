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

// A setting is one of an interface, of ipv4 or ipv6.
type setting struct{ name, family, key string }

func (o setting) path() string {
	return "/proc/sys/net/" + o.family + "/conf/" + o.name + "/" + o.key
}

// withSysctl calls f in the guest with the path of a setting. That it is not there, or any
// more, satisfies errors.ErrUnsupported.
func (s *Site) withSysctl(ctx context.Context, of setting, f func(path string) error) error {
	err := s.Port.Guest.Do(ctx, func() error { return f(of.path()) })
	if errors.Is(err, fs.ErrNotExist) {
		return errs.New(errors.ErrUnsupported, "%s has no IPv6: the kernel lacks it, or the MTU is below the 1280 bytes that it needs", of.name)
	}
	return err
}

// sysctl reads a setting of the interface.
func (s *Site) sysctl(ctx context.Context, family, key string) (value string, err error) {
	return s.sysctlOf(ctx, s.Port.Name, family, key)
}

func (s *Site) sysctlOf(ctx context.Context, name, family, key string) (value string, err error) {
	err = s.withSysctl(ctx, setting{name, family, key}, func(path string) error {
		b, err := os.ReadFile(path)
		value = strings.TrimSpace(string(b))
		return err
	})
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
	write := func(ctx context.Context, value string) error {
		return s.withSysctl(ctx, setting{name, family, key}, func(path string) error {
			if err := fault.Step(ctx, "sysctl "+key); err != nil {
				return err
			}
			return os.WriteFile(path, []byte(value), 0)
		})
	}
	err = write(ctx, value)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		return errs.New(fs.ErrPermission, "%s cannot be set to %s: /proc/sys must be writable", setting{name, family, key}.path(), value)
	}
	if err != nil {
		return err
	}
	s.Undo.Push("sysctl "+key, func(ctx context.Context) error {
		return unless(write(ctx, before), errors.ErrUnsupported)
	})
	return nil
}
