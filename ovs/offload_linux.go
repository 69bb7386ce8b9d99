package ovs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/link"
)

// An offload is ETHTOOL_GTXCSUM's and ETHTOOL_STXCSUM's value.
type offload uint32

const (
	off offload = iota
	on
)

// setOffload switches transmit checksum offload of the guest's interface. On a
// veth it means that nobody fills checksums in, and a userspace datapath passes
// frames on as they are: receivers drop all TCP and UDP. It goes by ioctl, because
// ethtool's netlink sets features since Linux 5.7 only, and where CONFIG_ETHTOOL_NETLINK
// is on.
func setOffload(ctx context.Context, p *link.Port, to offload) error {
	_, err := ethtool(ctx, p, unix.ETHTOOL_STXCSUM, to)
	return err
}

// offloadDrifts finds transmit checksum offload switched on.
func offloadDrifts(ctx context.Context, p *link.Port) ([]link.Drift, error) {
	is, err := ethtool(ctx, p, unix.ETHTOOL_GTXCSUM, off)
	if err != nil || is == off {
		return nil, err
	}
	return []link.Drift{{What: "transmit checksum offload of " + p.Name + " is on", Mend: func(ctx context.Context, u *link.Undo) error {
		u.Push("offload of "+p.Name, func(ctx context.Context) error { return setOffload(ctx, p, is) })
		return setOffload(ctx, p, off)
	}}}, nil
}

// ethtool makes one request of struct ethtool_value inside the guest.
func ethtool(ctx context.Context, p *link.Port, command uint32, value offload) (offload, error) {
	arg := struct {
		command uint32
		value   offload
	}{command, value}
	err := p.Guest.Do(ctx, func() error {
		if err := fault.Step(ctx, "ethtool"); err != nil {
			return err
		}
		return ethtoolIoctl(p.Name, unsafe.Pointer(&arg))
	})
	runtime.KeepAlive(&arg)
	switch {
	case errors.Is(err, unix.EPERM):
		return 0, errs.New(fs.ErrPermission, "switch checksum offload of %s: needs CAP_NET_ADMIN in the guest (run as root)", p.Name)
	case err != nil:
		return 0, fmt.Errorf("checksum offload of %s: %w", p.Name, err)
	}
	return arg.value, nil
}

// ethtoolIoctl makes an SIOCETHTOOL request in the calling thread's namespace.
func ethtoolIoctl(name string, arg unsafe.Pointer) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	var req struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the union is larger than a pointer
	}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	req.data = arg
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return errno
	}
	return nil
}
