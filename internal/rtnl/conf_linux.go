package rtnl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/ns"
)

// IgnoreRouters makes the kernel believe nothing that others on the link say about
// addresses and routes: no router advertisements (RFC 4861), no redirects (RFC 792,
// RFC 4861). It is meant for an interface that is still down, in the calling thread's
// network namespace; one that has no IPv6 is left as it is. rtnetlink only reads most
// of these settings. Where /proc/sys is read-only the error satisfies
// fs.ErrPermission.
func IgnoreRouters(ctx context.Context, name string) error {
	for _, setting := range [...][2]string{
		{"ipv6", "accept_ra"}, {"ipv6", "autoconf"}, {"ipv6", "accept_redirects"}, {"ipv4", "accept_redirects"},
	} {
		if err := writeConf(ctx, setting[0]+"/conf/"+name+"/"+setting[1], '0'); err != nil {
			return err
		}
	}
	return nil
}

// IgnoreAdvertisements is [IgnoreRouters] in one write, for an interface that is to
// have no address: nothing else leads anywhere then. disable_ipv6 would say more, but
// writing that spins for as long as anybody on the machine holds the rtnetlink lock.
func IgnoreAdvertisements(ctx context.Context, name string) error {
	return writeConf(ctx, "ipv6/conf/"+name+"/accept_ra", '0')
}

// EnableIPv6 lets the interface have IPv6 addresses where its namespace, as a container's
// often does, has them switched off for new ones.
func EnableIPv6(ctx context.Context, name string) error {
	return writeConf(ctx, "ipv6/conf/"+name+"/disable_ipv6", '0')
}

// SetToken has the addresses that routers advertise to the link end so (ip-token(8)). The kernel
// takes that only where the link follows routers (accept_ra).
func SetToken(ctx context.Context, c *ns.Conn, index int, token [8]byte) error {
	m := linkHeader(index, 0, 0)
	spec := m.nest(unix.IFLA_AF_SPEC)
	inet6 := m.nest(unix.AF_INET6)
	m.attr(inet6Token, append(make([]byte, 8), token[:]...)...)
	m.end(inet6)
	m.end(spec)
	_, err := c.Do(ctx, m.request(unix.RTM_SETLINK, unix.NLM_F_ACK), 0)
	if err != nil {
		return fmt.Errorf("set the end of advertised addresses (ip token): %w", err)
	}
	return nil
}

// writeConf writes one digit to a setting below /proc/sys/net, without the poller's
// cost. What is not there needs no setting.
func writeConf(ctx context.Context, name string, digit byte) error {
	if err := fault.Step(ctx, "sysctl"); err != nil {
		return err
	}
	fd, err := unix.Open("/proc/sys/net/"+name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte{digit})
		_ = unix.Close(fd)
	}
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EROFS):
		err = fs.ErrPermission
	}
	return fmt.Errorf("set /proc/sys/net/%s to %c: %w", name, digit, err)
}

// Attributes of linux/if_link.h, and what is in them.
const (
	inet6Conf        = 2 // IFLA_INET6_CONF: a list of 32-bit numbers
	inet6AddrGenMode = 8 // IFLA_INET6_ADDR_GEN_MODE
	inet6Token       = 7 // IFLA_INET6_TOKEN
	addrGenModeNone  = 1 // IN6_ADDR_GEN_MODE_NONE

	// Places in the list of inet6Conf, DEVCONF_* of linux/ipv6.h.
	devconfForwarding     = 0
	devconfAcceptRA       = 3
	devconfAcceptRADefrtr = 17
	devconfDisableIPv6    = 26
)

// TakesAdvertisements says whether the link follows router advertisements by the
// kernel's default, accept_ra 1. With 2 it does because somebody said so.
func (l *Link) TakesAdvertisements() bool {
	return l.conf6(devconfAcceptRA) == 1
}

// LearnsDefaults says whether the kernel makes default routes of router advertisements on
// the link, once it has IPv6.
func (l *Link) LearnsDefaults() bool {
	return l.acceptsRouters() && l.AcceptRADefrtr() != 0
}

// AcceptRADefrtr is the setting accept_ra_defrtr of the link. Whatever is not 0 has the
// kernel make default routes of router advertisements.
func (l *Link) AcceptRADefrtr() uint32 { return l.conf6(devconfAcceptRADefrtr) }

// UnlearnsDefaults says whether the link has IPv6, and accept_ra_defrtr 0.
func (l *Link) UnlearnsDefaults() bool {
	return len(Attr(Attr(l.Families, unix.AF_INET6), inet6Conf)) > 0 && l.AcceptRADefrtr() == 0
}

// HearsRouters says whether router advertisements reach the link, and the kernel follows them.
func (l *Link) HearsRouters() bool {
	return l.Up && l.conf6(devconfDisableIPv6) == 0 && l.acceptsRouters()
}

// acceptsRouters says whether the kernel follows router advertisements. On a link that
// forwards packets it does with accept_ra 2 alone (ipv6_accept_ra in include/net/addrconf.h).
func (l *Link) acceptsRouters() bool {
	accept := l.conf6(devconfAcceptRA)
	return accept == 2 || accept != 0 && l.conf6(devconfForwarding) == 0
}

// conf6 is one of the link's settings of IPv6; 0 where it has no IPv6.
func (l *Link) conf6(place int) uint32 {
	conf := Attr(Attr(l.Families, unix.AF_INET6), inet6Conf)
	if len(conf) < 4*(place+1) {
		return 0
	}
	return u32(conf[4*place:])
}

// ByKernel says whether the kernel made the address by itself: it is link-local, or
// from a router advertisement. Before Linux 5.18 it does not tell who made one, but
// whoever adds an address hardly asks it to make temporary ones from that.
func (a Addr) ByKernel() bool {
	ip := a.Prefix.Addr()
	if ip.IsLinkLocalUnicast() {
		return true
	}
	const generated = unix.IFA_F_MANAGETEMPADDR | unix.IFA_F_TEMPORARY
	return ip.Is6() && (a.Proto == protoKernelRA || a.Flags&generated != 0)
}

// Attribute of linux/if_addr.h, and its values.
const (
	ifaProto      = 11 // IFA_PROTO
	protoKernelRA = 2  // IFAPROT_KERNEL_RA
)
