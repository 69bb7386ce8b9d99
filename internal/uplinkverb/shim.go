package uplinkverb

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"

	"github.com/go-pipework/pipework/internal/option"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/uplink"
)

// ShimOptions are those of the verb shim.
type ShimOptions struct{ undo bool }

// AddFlags adds them.
func (o *ShimOptions) AddFlags(fs *pflag.FlagSet) {
	option.Bool(fs, &o.undo, "undo", "take the address from the shim, or without one the shim away")
}

// Do gives a NIC's shim addresses, or takes them away; dir is where that is recorded.
func (o *ShimOptions) Do(ctx context.Context, words []string, dir string, out Printer) error {
	addrs, err := prefixes(words[1:])
	if err != nil {
		return err
	}
	if len(addrs) == 0 && !o.undo {
		return option.Usage(errors.New("a shim needs an address that no other host has, such as 192.168.1.5/24"))
	}
	store, err := keep.Open(dir, link.Kinds()...)
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
	out.Warn(done.Warnings...)
	return out.Show(done, done.String())
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
