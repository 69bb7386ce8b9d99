package watch

import (
	"context"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A ref names a guest: a source and its ID there, or no source and the text of a
// record's guest.
type ref struct {
	source ns.Source
	id     string
}

// isCalled says whether the word may mean this container of a source, which has the name.
func (k ref) isCalled(word ns.Ref, name string) bool {
	base := word.Base()
	return (word.Kind == "" || word.Kind == k.source.Kind()) && word.Owner() == "" && (base == name || base != "" && strings.HasPrefix(k.id, base))
}

// A guest is what is known of one that runs, as far as is known, and has something
// declared.
type guest struct {
	ref
	name     string              // for people
	process  *process            // that what is attached belongs to; nil: it was not opened yet
	desired  map[string]*desired // when it was read last
	attached map[string]*attachment
	detached map[string]bool            // interfaces that somebody detached: what the guest declares for them waits for its next start
	ending   map[string]<-chan struct{} // of programs that were told to end, by the interface
	said     map[string]string          // what was last said about each declaration, and more
	warned   warnings                   // what comparisons warned of
}

// An attachment is one interface that was as declared when it was attached.
type attachment struct {
	guest    ref
	desired  *desired
	declared keep.Declared
	spec     pipework.Spec
	made     *pipework.Attachment
	unkeep   func()          // ends the keeping of its lease; nil: there is none
	ended    <-chan struct{} // closed when a program that kept it has ended; nil: there was none

	restarted bool // the guest may have started since
	lost      bool // it, or its lease, is no more
	orphaned  bool // it is lost, or has drifted, and its record is gone, too

	drift drift
}

func newGuest(k ref) *guest {
	return &guest{ref: k, name: k.id, attached: map[string]*attachment{}, detached: map[string]bool{}, ending: map[string]<-chan struct{}{}, said: map[string]string{}, warned: warnings{}}
}

// uses are the links of the host that what is attached stands on.
func (g *guest) uses() map[string]use {
	all := map[string]use{}
	for _, a := range g.attached {
		if a.made.HostName != "" {
			all[a.made.HostName] |= hostEnd
		}
		if on, is := a.spec.Link.(link.OnInterface); is && on.HostInterface() != "" {
			all[on.HostInterface()] |= beneath
		}
	}
	return all
}

// peers are the other guests that it has pairs with, or is to have.
func (g *guest) peers() (all []ns.Ref) {
	for _, d := range g.desired {
		if v, is := d.record.Spec.Link.(link.Veth); is && v.PeerName != "" {
			all = append(all, v.Peer)
		}
	}
	return all
}

// unobserved says whether nothing tells of the guest's end: no source, and no process.
func (g *guest) unobserved() bool {
	return g.source == nil && g.process != nil && !g.process.known()
}

// observed is what a plan is made of.
func (g *guest) observed() observed {
	o := observed{attached: map[string]status{}, detached: g.detached}
	for name, a := range g.attached {
		o.attached[name] = status{
			text: a.desired.text, byContainer: a.desired.byContainer, program: a.programRuns(),
			restarted: a.restarted, lost: a.lost, orphaned: a.orphaned, drift: strings.Join(a.drift.unmended(), "; "),
		}
	}
	return o
}

// programRuns says whether a program keeps the lease.
func (a *attachment) programRuns() bool {
	if a.ended == nil {
		return false
	}
	select {
	case <-a.ended:
		return false
	default:
		return true
	}
}

// as is the attachment as it was found there, with the leases that it has by now: they have
// changed since it was attached. Nothing keeps them yet.
func (a *attachment) as(there *pipework.Attachment) *attachment {
	now := *a
	now.made, now.unkeep, now.ended = withLeases(there), nil, nil
	return &now
}

// restarted notes that the guest may have started.
func (g *guest) restarted() {
	for _, a := range g.attached {
		a.restarted = true
	}
	clear(g.detached)
}

// unsaid says whether this is not what was said last about a subject, and notes it.
func (g *guest) unsaid(about, text string) bool {
	if g.said[about] == text {
		return false
	}
	g.said[about] = text
	return true
}

// isRenamed says whether an interface has another name in the guest than is declared,
// which it tells once. It is left alone then: another one under the declared name would
// have its MAC and addresses, too.
func (g *guest) isRenamed(ctx context.Context, log logger, declared, now string) bool {
	about := "name of " + declared
	if now == declared {
		delete(g.said, about)
		return false
	}
	if g.unsaid(about, now) {
		log.warn(ctx, "renamed in the guest, and left alone", "guest", g.name, "interface", declared, "now", now)
	}
	return true
}

// release forgets an interface, whose lease is not kept any more then.
func (g *guest) release(name string) {
	if a := g.attached[name]; a != nil && a.unkeep != nil {
		a.unkeep()
		if a.ended != nil {
			g.ending[name] = a.ended
		}
	}
	delete(g.attached, name)
}

func (g *guest) releaseAll() {
	for name := range g.attached {
		g.release(name)
	}
}

// clear forgets what is known of the guest's interfaces and process.
func (g *guest) clear() {
	g.releaseAll()
	clear(g.detached)
	if g.process != nil {
		g.process.close()
		g.process = nil
	}
}

// awaitEnd waits until the program has ended that kept an interface's lease until
// now: another one may follow then.
func (g *guest) awaitEnd(ctx context.Context, name string) error {
	if ending := g.ending[name]; ending != nil {
		select {
		case <-ending:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		delete(g.ending, name)
	}
	return nil
}
