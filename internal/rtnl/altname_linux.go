package rtnl

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// AddAltNames gives the link other names beside its own (Linux 5.5). None is no
// request.
func AddAltNames(ctx context.Context, c *ns.Conn, index int, names []string) error {
	return altNames(ctx, c, index, names, unix.RTM_NEWLINKPROP, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
}

// DelAltNames takes some of its other names from the link. None is no request.
func DelAltNames(ctx context.Context, c *ns.Conn, index int, names []string) error {
	return altNames(ctx, c, index, names, unix.RTM_DELLINKPROP, 0)
}

func altNames(ctx context.Context, c *ns.Conn, index int, names []string, msgType, flags int) error {
	if len(names) == 0 {
		return nil
	}
	m := linkHeader(index, 0, 0)
	at := m.nest(unix.IFLA_PROP_LIST | unix.NLA_F_NESTED)
	for _, name := range names {
		m.attrString(unix.IFLA_ALT_IFNAME, name)
	}
	m.end(at)
	if _, err := c.Do(ctx, m.request(msgType, unix.NLM_F_ACK|flags), 0); err != nil {
		return fmt.Errorf("change the altnames %q: %w", names, err)
	}
	return nil
}

func parseAltNames(b []byte) (names []string) {
	for attr, value := range attrs(b) {
		if attr == unix.IFLA_ALT_IFNAME {
			names = append(names, unix.ByteSliceToString(value))
		}
	}
	return names
}
