//go:build linux

package pipework

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// takeOver takes over an interface that an earlier version marked, whose digest cannot be
// compared: where the interface has all that the Spec asks for, no address beside, and the
// same rules, it is mended and marked anew; where a matter of choice differs it is left
// alone.
func (j *job) takeOver(ctx context.Context, l *rtnl.Link, mark link.Mark) (*Attachment, error) {
	asked := j.port.Mark
	if mark.Link != asked.Link {
		return nil, j.inUse("it is plugged into " + mark.Link)
	}
	j.port.Mark = mark
	differs, err := j.differs(ctx, l)
	if mark.Rules != asked.Rules { // the mark alone tells Detach of them
		differs = append(differs, "its rules are others")
	}
	switch {
	case err != nil:
		return nil, err
	case len(differs) > 0 && j.spec.Add:
		j.port.Mark = asked
		return j.add(ctx, l, mark)
	case len(differs) > 0:
		return nil, j.inUse(strings.Join(differs, ", "))
	}
	j.port.Mark.Spec = asked.Spec
	out, err := j.mend(ctx, l)
	if err != nil {
		return nil, err
	}
	if err := link.RemarkNIC(ctx, j.guest.Handle, l.Index, j.port.Mark); err != nil {
		return nil, j.fail("link", err)
	}
	if err := rtnl.SetAlias(ctx, j.port.Conn, l.Index, j.port.Mark.String()); err != nil {
		return nil, j.fail("link", err)
	}
	return out, nil
}

// differs lists what a Spec chooses and the interface has otherwise.
func (j *job) differs(ctx context.Context, l *rtnl.Link) (differs []string, err error) {
	j.port.Index, j.port.MAC = l.Index, l.MAC
	drifts, err := j.drifts(ctx, l)
	if err != nil {
		return nil, err
	}
	for _, d := range drifts {
		if d.Chosen {
			differs = append(differs, d.What)
		}
	}
	have, err := rtnl.Addrs(ctx, j.port.Conn, l.Index)
	if err != nil {
		return nil, j.fail("address", err)
	}
	expected := slices.Clone(j.spec.Addrs)
	for _, lease := range []*dhcp.Lease{j.readLease(have), j.readLease6(have)} {
		if lease != nil {
			expected = append(expected, lease.Addr)
		}
	}
	for _, a := range have {
		if a.Flags&unix.IFA_F_PERMANENT != 0 && !a.Prefix.Addr().IsLinkLocalUnicast() && !slices.Contains(expected, a.Prefix) {
			differs = append(differs, "it has the address "+a.Prefix.String())
		}
	}
	return differs, nil
}
