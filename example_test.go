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
		fmt.Println(pipework.Detach(ctx, web, pipework.Spec{Name: at.Name}))
	}
}
