package pipework

import (
	"context"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/parts"
	"github.com/go-pipework/pipework/link"
)

// takeOver takes over an interface whose mark has no digest to compare: an earlier
// version wrote it, or a call that changed the interface was killed. Where the interface
// has all that the Spec asks for, and nothing of pipework's beside, it is mended and
// marked anew; where a matter of choice differs it is left alone.
func (j *job) takeOver(ctx context.Context, asked link.Mark) (*Attachment, error) {
	j.site.Exact = true
	missing, surplus, err := j.compare(ctx)
	j.site.Exact = false
	if err != nil {
		return nil, err
	}
	differs := append(chosen(missing), texts(surplus)...)
	why := toRecreate(missing)
	switch {
	case why != "":
		return nil, recreater{j}.refuse(why, texts(surplus))
	case len(differs) > 0 && j.spec.Add:
		return j.add(ctx)
	case len(differs) > 0:
		return nil, j.inUse(strings.Join(differs, ", "))
	}
	out, err := j.mendAnd(ctx, missing)
	if err != nil {
		return nil, err
	}
	return out, j.remark(ctx, asked.Spec)
}

// chosen tells what differs and is a matter of what a Spec chooses.
func chosen(drifts []drift) []string {
	return texts(slices.DeleteFunc(slices.Clone(drifts), func(d drift) bool { return !d.Chosen }))
}

func texts(drifts []drift) (list []string) {
	for _, d := range drifts {
		list = append(list, d.What)
	}
	return list
}

// add gives the interface, which another Spec made, the addresses, gateways and routes of
// this one. The mark stays the first Spec's. What drifted of the link is mended; what
// another Spec may have chosen is not changed, but refused.
func (j *job) add(ctx context.Context) (*Attachment, error) {
	missing, _, err := j.compare(ctx)
	if err != nil {
		return nil, err
	}
	differs := chosen(missing)
	var repaired []string
	for _, d := range missing {
		switch d.Part.(type) {
		case parts.Device:
			if d.mendable() {
				repaired = append(repaired, d.What)
			}
		case parts.Rules, parts.Shaping:
			differs = append(differs, "rules and shaping cannot be added")
		}
	}
	mark := j.port.Mark
	if j.spec.asks(dhcp.IPv4) && mark.Lease == "" || j.spec.asks(dhcp.IPv6) && mark.Lease6 == "" {
		differs = append(differs, "it has no lease")
	}
	pin := j.spec.pin()
	pin.Asked = false // whether it is pinned now, whatever this Spec asks for
	pinned, err := pin.On(ctx, &j.site)
	if err != nil {
		return nil, j.fail(StageLink, err)
	}
	if pinned {
		differs = append(differs, "it is pinned to its addresses")
	}
	if len(differs) > 0 {
		return nil, j.inUse(strings.Join(slices.Compact(differs), ", "))
	}
	if why := toRecreate(missing); why != "" {
		return nil, recreater{j}.refuse(why, nil)
	}
	had, err := j.read(ctx)
	if err != nil {
		return nil, err
	}
	if j.plan != nil {
		j.plan.adding = true
	}
	out, err := j.mendAnd(ctx, missing)
	if err != nil {
		return nil, err
	}
	out.Mended, out.Added = repaired, added(j.spec.Addrs, had.Addrs)
	return out, nil
}

// added are the addresses that are not among those that there were.
func added[T comparable](now, had []T) []T {
	return slices.DeleteFunc(slices.Clone(now), func(v T) bool { return slices.Contains(had, v) })
}
