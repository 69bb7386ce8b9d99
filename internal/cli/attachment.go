package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/told"
)

// Attachment is a on one line. Its lease, if any, is kept where kept says so; otherwise
// keeper names what would keep it.
func Attachment(a *pipework.Attachment, kept bool, keeper string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s on %s", a.Guest.Name, a.Name, a.Link)
	if a.HostName != "" {
		fmt.Fprintf(&b, " (host end %s)", a.HostName)
	}
	fmt.Fprintf(&b, ", MAC %s%s%s", a.MAC, list(", ", a.Addrs), list(", default via ", a.Gateways))
	b.WriteString(list(", instead of ", a.Displaced))
	for _, l := range []*dhcp.Lease{a.Lease, a.Lease6} {
		switch {
		case l == nil:
		case l.Expires.IsZero():
			fmt.Fprintf(&b, ", %s leased for ever", l.Addr.Addr())
		default:
			fmt.Fprintf(&b, ", %s leased until %s unless somebody keeps it", l.Addr.Addr(), l.Expires.Format(time.DateTime))
		}
	}
	if a.Existed {
		b.WriteString(", was there already" + list(", mended: ", a.Mended) + list(", added: ", a.Added))
	}
	if of := a.Guest.NetworkOf; of != "" {
		b.WriteString(", in the network of " + of)
	}
	if (a.Lease != nil || a.Lease6 != nil) && !a.Existed && !kept {
		b.WriteString(": " + keeper + " does")
	}
	return Line(b.String())
}

// WarningsOf are the warnings of all the attachments.
func WarningsOf(all []*pipework.Attachment) (warnings []string) {
	for _, at := range all {
		for _, text := range at.Warnings {
			warnings = append(warnings, fmt.Sprintf("%s: %s: %s", at.Guest.Name, at.Name, text))
		}
	}
	return warnings
}

// list joins items behind their introduction, as many as people are told; no items are nothing.
func list[T any](intro string, items []T) string {
	if len(items) == 0 {
		return ""
	}
	texts := make([]string, len(items))
	for i, v := range items {
		texts[i] = fmt.Sprint(v)
	}
	return intro + strings.Join(told.Of(texts), ", ")
}
