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

// sysctlPath is a setting of the interface, of ipv4 or ipv6.
func (s *Site) sysctlPath(family, key string) string {
	return "/proc/sys/net/" + family + "/conf/" + s.Port.Name + "/" + key
}

func (s *Site) sysctl(ctx context.Context, family, key string) (value string, err error) {
	err = s.Port.Guest.Do(ctx, func() error {
		b, err := os.ReadFile(s.sysctlPath(family, key))
		value = strings.TrimSpace(string(b))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = errs.New(errors.ErrUnsupported, "%s has no IPv6: the kernel lacks it, or the MTU is below the 1280 bytes that it needs", s.Port.Name)
	}
	return value, err
}

// setSysctl sets one of the interface's settings, unless it is set, or is more
// than was asked for (accept_ra is 2).
func (s *Site) setSysctl(ctx context.Context, family, key, value string) error {
	before, err := s.sysctl(ctx, family, key)
	if err != nil || before == value || key == "accept_ra" && before == "2" {
		return err
	}
	path := s.sysctlPath(family, key)
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
