package keep_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
)

// What is attached is recorded: it can be compared, and package watch attaches it again
// after a restart.
func Example() {
	ctx := context.Background()
	store, err := keep.Open("/var/lib/web", link.Kinds()...)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	p := keep.Plugger{Store: store, Target: find.Target}

	web := ns.ParseRef("docker:web")
	_, _, err = p.Attach(ctx, web, keep.Declared{Spec: pipework.Spec{
		Link:  link.Bridge{Name: "br1"},
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
	}})
	if err != nil {
		log.Fatal(err)
	}
	all, err := p.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range all {
		fmt.Println(s.Guest, s.Interface, s.State, s.Details)
	}
	if _, err := p.Detach(ctx, web, "eth1", keep.DetachOptions{}); err != nil {
		log.Fatal(err)
	}
}
