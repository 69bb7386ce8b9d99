package pipework

import (
	"fmt"
	"strings"
	"time"
)

// String is the Attachment on one line, for people.
func (a *Attachment) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s on %s", a.Guest.Name, a.Name, a.Link)
	if a.HostName != "" {
		fmt.Fprintf(&b, " (host end %s)", a.HostName)
	}
	fmt.Fprintf(&b, ", MAC %s%s%s", a.MAC, list(", ", a.Addrs), list(", default via ", a.Gateways))
	b.WriteString(list(", instead of ", a.Displaced))
	if a.Lease != nil {
		fmt.Fprintf(&b, ", leased until %s unless somebody keeps it", a.Lease.Expires.Format(time.DateTime))
	}
	if a.Existed {
		b.WriteString(", was there already" + list(", mended: ", a.Mended) + list(", added: ", a.Added))
	}
	if of := a.Guest.NetworkOf; of != "" {
		b.WriteString(", in the network of " + of)
	}
	return b.String()
}

// list joins items behind their introduction; no items are nothing.
func list[T any](intro string, items []T) string {
	if len(items) == 0 {
		return ""
	}
	texts := make([]string, len(items))
	for i, v := range items {
		texts[i] = fmt.Sprint(v)
	}
	return intro + strings.Join(texts, ", ")
}
