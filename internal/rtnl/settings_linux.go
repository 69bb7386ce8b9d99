package rtnl

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// settable are the flags that are settings, and no states.
const settable = unix.IFF_NOARP | unix.IFF_PROMISC | unix.IFF_ALLMULTI | unix.IFF_MULTICAST | unix.IFF_DYNAMIC | unix.IFF_DEBUG

func (s *Settings) field(attr uint16) *uint32 {
	switch attr {
	case unix.IFLA_GROUP:
		return &s.Group
	case unix.IFLA_TXQLEN:
		return &s.TxQueueLen
	case unix.IFLA_GSO_MAX_SIZE:
		return &s.GSOMaxSize
	case unix.IFLA_GSO_MAX_SEGS:
		return &s.GSOMaxSegs
	}
	return &s.GROMaxSize
}

// SetSettings makes the link's settings what they were in before; nothing where they
// are that.
func SetSettings(ctx context.Context, c *ns.Conn, l *Link, before Settings) error {
	now := l.Settings
	if now == before {
		return nil
	}
	m := linkHeader(l.Index, before.Flags, settable)
	for _, attr := range []uint16{unix.IFLA_GROUP, unix.IFLA_TXQLEN, unix.IFLA_GSO_MAX_SIZE, unix.IFLA_GSO_MAX_SEGS, unix.IFLA_GRO_MAX_SIZE} {
		if want := *before.field(attr); want != *now.field(attr) { // older kernels know some of them only
			m.attrU32(attr, want)
		}
	}
	if _, err := c.Do(ctx, m.request(unix.RTM_SETLINK, unix.NLM_F_ACK), 0); err != nil {
		return fmt.Errorf("restore the settings of %s: %w", l.Name, err)
	}
	return nil
}
