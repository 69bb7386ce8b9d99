package link

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// find is the Target of another guest.
func (h Host) find(ref ns.Ref) ns.Target {
	if h.Find != nil {
		return h.Find(ref)
	}
	switch {
	case ref.Kind == ns.File, ref.Kind == ns.Netns && strings.HasPrefix(ref.Name, "/"):
		return ns.Path(ref.Name)
	case ref.Kind == ns.Netns:
		return ns.Named(ref.Name)
	case ref.Kind == ns.Process:
		if n, err := strconv.ParseUint(ref.Name, 10, 31); err == nil {
			return ns.PID(n)
		}
	}
	return unknown(ref)
}

// unknown is a guest of a runtime that nobody said how to ask.
type unknown ns.Ref

// Open says so.
func (u unknown) Open(context.Context) (*ns.Guest, error) {
	return nil, errs.New(errors.ErrUnsupported, "%s is not netns:, pid: or a path: set Attacher.Find, such as to find.Target", ns.Ref(u))
}

// peerWord begins the alias of the end in another guest. [ParseMark] does not take it for
// a mark: nothing is removed because of it.
const peerWord = markWord + "-peer"

// peerAlias tells whose the end in another guest is.
func (m Mark) peerAlias() string {
	text := Mark{Link: m.Link, Interface: m.Interface, Guest: m.Guest}.String()
	text = peerWord + strings.TrimPrefix(text, markWord)
	return text[:min(len(text), aliasMax)]
}

// PeerOf is the mark of the other end where the alias says that this is the end of a pair
// in another guest. It proves nothing: that guest may write it.
func PeerOf(alias string) (m Mark, ok bool) {
	rest, is := strings.CutPrefix(alias, peerWord+" ")
	if !is {
		return Mark{}, false
	}
	return ParseMark(markWord + " " + rest)
}

// pairByMark is a pair to another guest, "veth:db/eth5", of which only a mark in the guest
// tells. The guest may have written it: no other guest is looked for because of it.
type pairByMark string

var _ Backend = pairByMark("")

// String is what the mark says.
func (b pairByMark) String() string { return string(b) }

// MarshalJSON writes the [Veth].
func (b pairByMark) MarshalJSON() ([]byte, error) {
	v, _ := parsePeer(strings.TrimPrefix(string(b), "veth:"))
	return json.Marshal(v)
}

// Plug needs the [Veth].
func (b pairByMark) Plug(context.Context, *Port, *Undo) error {
	return errs.New(fs.ErrInvalid, "%s is only known by a mark: give link.Veth", b)
}
