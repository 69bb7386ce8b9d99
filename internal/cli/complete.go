package cli

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/ns/find"
)

// patience is how long somebody who presses Tab waits for a runtime.
const patience = 500 * time.Millisecond

// completeLine has the shell offer the host's interfaces, and then guests.
func completeLine(verb *cobra.Command) {
	verb.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return hostInterfaces(begun), cobra.ShellCompDirectiveNoFileComp
		case 1:
			return guests(cmd.Context(), begun), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeGuests has the shell offer guests, most of them at the most, and interfaces of
// the one that was named where the verb has -i.
func completeGuests(verb *cobra.Command, most int) {
	verb.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) (names []string, _ cobra.ShellCompDirective) {
		if len(args) < most {
			names = guests(cmd.Context(), begun)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	if verb.Flags().Lookup("interface") == nil {
		return
	}
	_ = verb.RegisterFlagCompletionFunc("interface", func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), patience)
		defer cancel()
		if len(args) > 0 {
			all, _ := pipework.List(ctx, find.Guest(args[0]))
			names = lines(all, "", func(at *pipework.Attachment) string { return Line(at.Name) })
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// completeValues has the shell offer files only where an option takes one.
func completeValues(verb *cobra.Command) {
	verb.Flags().VisitAll(func(f *pflag.Flag) {
		if t := f.Value.Type(); t != "path" && t != "file" {
			_ = verb.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions) // an error where it has one
		}
	})
}

// hostInterfaces are those of the host: all, or of the kind that was typed, behind that.
func hostInterfaces(begun string) (names []string) {
	kind := begun[:strings.IndexByte(begun, ':')+1]
	h, err := netlink.NewHandle()
	if err != nil {
		return nil
	}
	defer h.Close()
	all, _ := h.LinkList() // what there is of it
	for _, l := range all {
		if l.Attrs().Flags&net.FlagLoopback == 0 && offered(kind, l.Type()) {
			names = append(names, kind+l.Attrs().Name)
		}
	}
	return names
}

// offered says whether a link of this type may be what somebody means who typed the kind.
func offered(kind, linkType string) bool {
	switch kind {
	case "":
		return true
	case "bridge:":
		return linkType == "bridge"
	case "ovs:":
		return linkType == "openvswitch"
	}
	return kind != "veth:" && !slices.Contains([]string{"bridge", "openvswitch", "veth", "tun", "macvlan", "ipvlan"}, linkType)
}

// guests are those that answer at once: by their names, or with their kinds where one was typed.
func guests(ctx context.Context, begun string) (names []string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, ref := range find.Running(ctx) {
		if strings.Contains(begun, ":") {
			names = append(names, Line(ref.String()))
		} else {
			names = append(names, Line(ref.Name))
		}
	}
	return names
}
