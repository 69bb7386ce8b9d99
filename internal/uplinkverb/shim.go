package uplinkverb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"

	"github.com/go-pipework/pipework/internal/option"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/uplink"
)

// ShimOptions are those of the verb shim.
type ShimOptions struct{ Options }

// AddFlags adds them.
func (o *ShimOptions) AddFlags(set *pflag.FlagSet) {
	option.Bool(set, &o.undo, "undo", "take the address from the shim, or without one the shim away")
	option.Duration(set, &o.confirm, "confirm", "without an address: undo it, unless it is kept within this time (--keep)")
	option.Text(set, &o.probe, "probe", "what", "without an address: undo it, unless this is reached in time, and keep it then: gateway, arp:<address> or tcp:<host>:<port>")
	option.Bool(set, &o.keep, "keep", "confirm: the shim keeps what it has taken over")
	option.Bool(set, &o.managed, "managed", "without an address: also a NIC that a network manager or a DHCP client looks after")
}

// Do gives a NIC's shim addresses, or what the NIC has, or takes that away.
func (o *ShimOptions) Do(ctx context.Context, words []string, c Call) error {
	addrs, err := prefixes(words[1:])
	if err != nil {
		return err
	}
	if len(addrs) == 0 {
		err := o.Options.Do(ctx, []string{uplink.ShimName(words[0]), words[0]}, c)
		if !o.undo || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	} else if (o.Options != Options{undo: o.undo}) {
		return option.Usage(errors.New("an address is the shim's own: leave --confirm, --probe, --keep and --managed out, which are about what the NIC has"))
	}
	store, err := keep.Open(c.Dir, link.Kinds()...)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	s, call := uplink.Shim{NIC: words[0], Addrs: addrs, Store: store}, uplink.Shim.Add
	if o.undo {
		call = uplink.Shim.Remove
	}
	done, err := call(s, ctx)
	if err != nil {
		return err
	}
	c.Out.Warn(done.Warnings...)
	return c.Out.Show(done, done.String())
}

// prefixes are the addresses of a word: several with commas.
func prefixes(words []string) (all []netip.Prefix, err error) {
	for _, word := range words {
		for text := range strings.SplitSeq(word, ",") {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return nil, option.Usage(fmt.Errorf("%q is no address with a prefix length, such as 192.168.1.5/24", text))
			}
			all = append(all, p)
		}
	}
	return all, nil
}
