package pipework_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

func Example() {
	ctx := context.Background()
	web := ns.Named("web") // or docker.Container("web"), ns.PID(1234), ns.Path(…)
	at, err := pipework.Attach(ctx, web, pipework.Spec{
		Link:     link.Bridge{Name: "br1"},
		Addrs:    []netip.Prefix{netip.MustParsePrefix("192.168.1.1/24")},
		Gateways: []netip.Addr{netip.MustParseAddr("192.168.1.254")},
	})
	switch {
	case errors.Is(err, fs.ErrExist):
		fmt.Println("eth1 is in use for something else:", err)
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println(at.Name, at.MAC, at.HostName)
		found, err := pipework.Detach(ctx, web, pipework.Spec{Name: at.Name})
		fmt.Println(found, err) // not found: somebody else was quicker, which is no error
	}
}

// A second uplink: what comes from its address leaves by it, slowed down to a
// tenth of what a DSL line has, whatever the default route is.
func ExampleSpec_routes() {
	at, err := pipework.Attach(context.Background(), ns.Named("web"), pipework.Spec{
		Link:  link.Bridge{Name: "br2"},
		Name:  "dsl",
		Addrs: []netip.Prefix{netip.MustParsePrefix("192.168.2.1/24")},
		Routes: []link.Route{
			{Dst: netip.MustParsePrefix("192.168.2.0/24"), Table: 100},
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.168.2.254"), Table: 100},
		},
		Rules:   []link.Rule{{Priority: 100, From: netip.MustParsePrefix("192.168.2.1/32"), Table: 100}},
		Egress:  &link.Shaping{Rate: 1e6},
		Ingress: &link.Shaping{Rate: 10e6},
	})
	if err == nil {
		fmt.Println(at.HostName) // Detach takes it all away
	}
}

// The same Attach may be typed again: it mends what drifted.
func ExampleAttach() {
	at, err := pipework.Attach(context.Background(), ns.PID(1234), pipework.Spec{
		Link:  link.Macvlan{Parent: "eth0"},
		Addrs: []netip.Prefix{netip.MustParsePrefix("192.168.1.1/24")},
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Println("no such process, or no eth0:", err)
	case err != nil:
		fmt.Println(err)
	case at.Existed:
		fmt.Println("there already; mended:", at.Mended)
	default:
		fmt.Println(at.Name, at.MAC)
	}
}

// Ten guests at once: each succeeds or fails on its own.
func ExampleAttachAll() {
	var jobs []pipework.Job
	for i := range 10 {
		jobs = append(jobs, pipework.Job{
			Target: ns.Named(fmt.Sprintf("web%d", i)),
			Spec: pipework.Spec{
				Link:  link.Bridge{Name: "br1"},
				Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 24)},
			},
		})
	}
	all, err := pipework.AttachAll(context.Background(), jobs)
	failed, _ := errors.AsType[pipework.JobErrors](err)
	for i, at := range all {
		if at == nil {
			fmt.Println(jobs[i].Target, failed[i])
			continue
		}
		fmt.Println(at.Guest.Name, at.MAC)
	}
}

// An interface that runs is given another gateway and a second address, and is slowed
// down. Connections by its first address go on.
func ExampleUpdate() {
	ctx := context.Background()
	web := ns.Named("web")
	spec := pipework.Spec{
		Link:     link.Bridge{Name: "br1"},
		Addrs:    []netip.Prefix{netip.MustParsePrefix("192.168.1.1/24")},
		Gateways: []netip.Addr{netip.MustParseAddr("192.168.1.254")},
	}
	if _, err := pipework.Attach(ctx, web, spec); err != nil {
		fmt.Println(err)
		return
	}
	spec.Addrs = append(spec.Addrs, netip.MustParsePrefix("192.168.1.2/24"))
	spec.Gateways = []netip.Addr{netip.MustParseAddr("192.168.1.253")}
	spec.Egress = &link.Shaping{Rate: 10e6}
	at, err := pipework.Update(ctx, web, spec)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Println("web has no interface", pipework.DefaultName)
	} else if err == nil {
		fmt.Println(at.Added, at.Mended)
	}
}
