package pipework

import (
	"context"
	"net/netip"
	"slices"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/parts"
	"github.com/go-pipework/pipework/link"
)

// A concern is one part of a Spec, and the Stage of its errors.
type concern struct {
	stage Stage
	parts.Part
}

// concerns are what the Spec asks for, in the order in which an interface is given it;
// it is taken away the other way round. Whatever works on an interface walks this list:
// a new concern is a type of package parts and a line here.
func (s Spec) concerns() []concern {
	return []concern{
		{StageAddress, s.advertisements()},
		{StageLink, s.pin()},
		{StageLink, parts.Device{Link: s.Link, MAC: s.MAC, MTU: s.MTU}},
		{StageAddress, parts.Addresses(s.Addrs)},
		{StageRoute, s.gateways()},
		{StageRoute, parts.Rules(s.Rules)},
		{StageDHCP, s.leases()},
		{StageAddress, parts.Routers(s.advertisements())},
		{StageRoute, parts.Routes{List: s.Routes, Gateways: s.gateways()}},
		{StageLink, parts.Shaping{Egress: s.Egress, Ingress: s.Ingress, Link: s.Link}},
	}
}

func (s Spec) gateways() parts.Gateways { return parts.Gateways{Via: s.Gateways, Addrs: s.Addrs} }

func (s Spec) leases() parts.Leases {
	return parts.Leases{Config: s.DHCP, Gateways: s.gateways(), Routes: s.Routes, FixedMTU: s.MTU != 0, IPv6: s.hasIPv6(), Pin: s.pin()}
}

func (s Spec) pin() parts.Pin {
	return parts.Pin{Asked: s.Pin, Link: s.Link, MAC: s.MAC, Addrs: s.Addrs, SLAAC: s.advertised(), IPv4Leases: s.asks(dhcp.IPv4), IPv6Leases: s.asks(dhcp.IPv6)}
}

func (s Spec) advertisements() parts.Advertisements {
	return parts.Advertisements{Wanted: s.advertised(), SLAAC: s.SLAAC, OwnGateway: slices.ContainsFunc(s.Gateways, netip.Addr.Is6)}
}

// extra are concerns beside those of the Specs.
type extra struct{ more []parts.Part }

// concerns are those of the job's Spec.
func (j *job) concerns() []concern {
	list := j.spec.concerns()
	for _, p := range j.more {
		list = append(list, concern{StageAddress, p})
	}
	return list
}

// apply gives a new interface all that is asked for.
func (j *job) apply(ctx context.Context) (*Attachment, error) {
	for _, c := range j.concerns() {
		if err := c.Apply(ctx, &j.site); err != nil {
			return nil, j.fail(c.stage, j.because(err))
		}
	}
	return j.attachment(), nil
}

// A drift is how the interface differs from what one concern asks for.
type drift struct {
	concern
	link.Drift
}

// mendable says whether it can be put right.
func (d drift) mendable() bool { return d.Mend != nil }

// compare compares the interface and its end on the host with the Spec.
func (j *job) compare(ctx context.Context) (missing, surplus []drift, err error) {
	for _, c := range j.concerns() {
		d, err := c.Compare(ctx, &j.site)
		if err != nil {
			return nil, nil, j.fail(c.stage, err)
		}
		missing, surplus = append(missing, drifts(c, d.Missing)...), append(surplus, drifts(c, d.Surplus)...)
	}
	if len(surplus) > maxSurplus {
		j.port.Warn("the guest has %d things more than it is to have: only %d are dealt with", len(surplus), maxSurplus)
		surplus = surplus[:maxSurplus]
	}
	return missing, surplus, nil
}

// maxSurplus is how much that a Spec does not ask for one call takes away. The guest can make
// any number of routes and addresses that look like pipework's; another call goes on.
const maxSurplus = 1000

func drifts(c concern, of []link.Drift) (list []drift) {
	for _, d := range of {
		list = append(list, drift{c, d})
	}
	return list
}

// mend puts right what differs, and tells what that was. It warns of what it cannot put
// right.
func (j *job) mend(ctx context.Context, drifts []drift) (mended []string, err error) {
	for _, d := range drifts {
		if !d.mendable() {
			if !slices.Contains(j.port.Warnings, d.What) {
				j.port.Warn("%s", d.What)
			}
			continue
		}
		if j.plan != nil {
			j.plan.mend(d)
			continue
		}
		j.log(ctx, "mend", "drift", d.What)
		if err := d.Mend(ctx, &j.undo); err != nil {
			return nil, j.fail(d.stage, err)
		}
		mended = append(mended, d.What)
	}
	return mended, nil
}

// refresh asks DHCP servers and routers again.
func (j *job) refresh(ctx context.Context) error {
	if j.plan != nil {
		return nil
	}
	for _, c := range j.concerns() {
		if r, ok := c.Part.(parts.Refresher); ok {
			if err := r.Refresh(ctx, &j.site); err != nil {
				return j.fail(c.stage, j.because(err))
			}
		}
	}
	return nil
}

// remove takes away what does not go with the interface.
func (j *job) remove(ctx context.Context) error {
	for _, c := range slices.Backward(j.concerns()) {
		if err := c.Remove(ctx, &j.site); err != nil {
			return j.fail(c.stage, err)
		}
	}
	return nil
}
