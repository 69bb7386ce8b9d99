//go:build linux

package pipework

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// addAddr gives the interface one address. Docker switches IPv6 off in every
// container that it gave no IPv6 address; asking for one switches it on, on
// this interface alone.
func (j *job) addAddr(ctx context.Context, l *rtnl.Link, p netip.Prefix) error {
	err := rtnl.AddAddr(ctx, j.port.Conn, l.Index, p)
	if p.Addr().Is6() && errors.Is(err, unix.EACCES) {
		if err := j.enableIPv6(ctx, l.Name); err != nil {
			return err
		}
		err = rtnl.AddAddr(ctx, j.port.Conn, l.Index, p)
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		return errs.New(errors.ErrUnsupported, "add address %s: this kernel has no IPv6: CONFIG_IPV6, or booted with ipv6.disable=1", p)
	}
	return err
}

func (j *job) enableIPv6(ctx context.Context, name string) error {
	return j.guest.Do(ctx, func() error {
		if err := fault.Step(ctx, "sysctl disable_ipv6"); err != nil {
			return err
		}
		path := "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6"
		err := os.WriteFile(path, []byte("0"), 0)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
			return errs.New(fs.ErrPermission, "IPv6 is off in the guest, and %s cannot be written: /proc/sys must be writable", path)
		}
		return err
	})
}
