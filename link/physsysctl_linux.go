package link

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/ifconf"
)

// restoreConf sets what differs. A setting that the kernel refuses is told.
func (w past) restoreConf(ctx context.Context, h Host, name string, warn func(string, ...any)) error {
	return ifconf.Write(ctx, ifconf.Do(enter(h)), name, w.Conf, func(err error) {
		warn("%s came back without a setting that it had: %v", name, err)
	})
}

// usableAtOnce has add make IPv6 addresses with a flag that makes them usable at once: that of
// RFC 4429, which the interface's optimistic_dad permits meanwhile, or, where the kernel has
// not that (CONFIG_IPV6_OPTIMISTIC_DAD), that for no detection of duplicates.
func usableAtOnce(ctx context.Context, h Host, name string, add func(flag uint32) error) (err error) {
	path := filepath.Join("/proc/sys/net/ipv6/conf", name, "optimistic_dad")
	was, err := ifconf.Set(ctx, ifconf.Do(enter(h)), path, "1")
	switch {
	case errors.As(err, new(*os.PathError)):
		return add(unix.IFA_F_NODAD)
	case err != nil:
		return err
	}
	defer func() {
		_, failed := ifconf.Set(fault.Off(ctx), ifconf.Do(enter(h)), path, was)
		err = errs.Join(err, failed)
	}()
	return add(unix.IFA_F_OPTIMISTIC)
}
