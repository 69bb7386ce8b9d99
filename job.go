//go:build linux

package pipework

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/announce"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/parts"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A job is one call at work on one guest.
type job struct {
	*Attacher
	op    string
	spec  Spec
	host  link.Host
	guest *ns.Guest
	port  link.Port
	site  parts.Site
	undo  link.Undo
	ended bool  // there is nothing left to do
	plan  *plan // not nil: nothing is to be done, only told

	announcer *announce.Sender // only where addresses may be new
}

// one calls do with a job on one guest, which is open meanwhile.
func (a *Attacher) one(ctx context.Context, op string, call Job, do func(*job) error) error {
	j := &job{Attacher: a, op: op, spec: call.Spec.normal()}
	if err := j.validate(); err != nil {
		return err
	}
	host, err := a.openHost(ctx)
	if err != nil {
		return j.fail(StageGuest, err)
	}
	release := func() { closeHost(host, a.Host) }
	j.host = host
	if err := j.open(ctx, call.Target); err != nil {
		release()
		return err
	}
	defer j.close(release)
	return do(j)
}

// validate says what is wrong with the Spec, before anything is touched.
func (j *job) validate() error {
	var wrong error
	switch j.op {
	case "attach", "update":
		wrong = j.spec.validate()
	default:
		if err := link.ValidName(j.spec.Name); err != nil {
			wrong = errs.New(fs.ErrInvalid, "%w", err)
		}
	}
	if wrong != nil {
		return j.fail(StageSpec, wrong)
	}
	return nil
}

// open opens the guest, and a connection inside.
func (j *job) open(ctx context.Context, t Target) (err error) {
	j.log(ctx, "open")
	if t == nil {
		return j.fail(StageGuest, errs.New(fs.ErrInvalid, "no target: say which guest, such as ns.PID(1234)"))
	}
	if j.guest, err = t.Open(ctx); err != nil {
		return j.fail(StageGuest, err)
	}
	if err := j.prepare(ctx); err != nil {
		j.close(func() {})
		return j.fail(StageGuest, err)
	}
	return nil
}

// openHost holds the namespace a.Host open, or the calling thread's where that is nil,
// and opens a connection inside. The caller closes it with closeHost.
func (a *Attacher) openHost(ctx context.Context) (host link.Host, err error) {
	host.Find = a.Find
	if a.Log != nil {
		host.Warn = func(text string) { a.Log.WarnContext(ctx, text) }
	}
	if host.Handle = a.Host; a.Host != nil {
		host.Conn, err = a.Host.Conn(ctx)
		return host, err
	}
	host.Here = true
	host.Handle, host.Conn, err = ns.Here(ctx)
	return host, err
}

// closeHost closes what openHost opened where Attacher.Host is h.
func closeHost(host link.Host, h *ns.Handle) {
	_ = host.Conn.Close()
	if h == nil {
		_ = host.Close()
	}
}

// prepare refuses the host's own namespace, opens a connection inside the
// guest, and fills the port.
func (j *job) prepare(ctx context.Context) error {
	if j.guest.Inode() == j.host.Inode() && !j.spec.AllowHost {
		return errs.New(fs.ErrPermission, "the guest uses the host's own network: plugging it in would reconfigure the host (only a spec with allow_host permits it)")
	}
	conn, err := j.enter(ctx)
	if err != nil {
		return err
	}
	j.port = link.Port{
		Host: j.host, Guest: j.guest, Conn: conn,
		Name: j.spec.Name, MAC: j.spec.MAC, MACAsked: j.spec.MAC != nil, MTU: j.spec.MTU,
		Mark:  link.Mark{Interface: j.spec.Name, Guest: j.guest.Identity, Rules: link.FormatRules(j.spec.Rules)},
		Force: j.spec.Force,
	}
	j.site = parts.Site{Name: j.spec.Name, Port: &j.port, Undo: &j.undo, Log: j.log, Beneath: j.spec.Beneath, Last: j.spec.Last, Known: known(j)}
	if j.port.MAC == nil {
		j.port.MAC = j.spec.DefaultMAC
	}
	if j.port.MAC == nil {
		j.port.MAC = link.RandomMAC()
	}
	j.port.Pin = j.spec.pin().New(j.port.MAC)
	if j.spec.Link == nil {
		return nil
	}
	j.port.Mark.Link = j.spec.Link.String()
	j.port.Mark.Spec, err = j.spec.digest()
	return err
}

// enter opens inside the guest what the job needs there.
func (j *job) enter(ctx context.Context) (*ns.Conn, error) {
	if !j.host.Here {
		var c *ns.Conn
		err := j.guest.Do(ctx, func() (err error) {
			c, err = ns.Dial(ctx)
			j.openAnnouncer()
			return err
		})
		return c, err
	}
	return j.guest.Visit(ctx, j.host.Handle, j.openAnnouncer)
}

func (j *job) openAnnouncer() {
	if j.op == "attach" || j.op == "update" || j.op == "check" && j.Probe > 0 {
		j.announcer = announce.Open()
	}
}

// close closes what open opened, and then does what is left. Closing a packet socket waits
// for an RCU grace period, about 14 ms, so that where there is one nobody waits for any of
// it.
func (j *job) close(then func()) {
	all := func() {
		if j.port.Conn != nil {
			_ = j.port.Conn.Close()
		}
		_ = j.guest.Close()
		then()
	}
	if j.announcer == nil {
		all()
		return
	}
	go func() {
		all()
		j.announcer.Close()
	}()
}

// lockTime bounds the wait for others at work on the same guest, each of whom may
// have to wait for duplicate address detection, or for a spanning tree. A lock that is not
// root's alone a process in the guest may hold for ever: that must not keep it from being
// unplugged.
const lockTime = 45 * time.Second

// lock makes calls on one guest wait for one another, in whatever process.
// The host as a guest is not locked: its lock is the one that backends take.
func (j *job) lock(ctx context.Context) (unlock func(), err error) {
	if j.guest.Inode() == j.host.Inode() {
		return func() {}, nil
	}
	unlock, err = j.guest.Lock(ctx, lockTime)
	switch {
	case err == nil:
		return unlock, nil
	case j.op == "detach" && ctx.Err() == nil && errors.Is(err, errs.ErrCommonLock) && errors.Is(err, context.DeadlineExceeded):
		return func() {}, nil
	}
	return nil, j.fail(StageGuest, err)
}

// rollBack undoes what was done before err.
func (j *job) rollBack(ctx context.Context, err error) error {
	j.log(ctx, "roll back", "error", err)
	if undone := j.undo.Run(ctx); undone != nil {
		return j.fail(StageUndo, fmt.Errorf("%w; and then %w", err, undone))
	}
	return err
}

// fail makes err an *Error, unless it is one.
func (j *job) fail(stage Stage, err error) error {
	var e *Error
	if errors.As(err, &e) && stage != StageUndo {
		return err
	}
	e = &Error{Op: j.op, Stage: stage, Interface: j.about(), Err: err}
	if j.guest != nil {
		e.Guest = j.guest.Name
	}
	return e
}

// about is the interface that the call is about; a list is about all.
func (j *job) about() string {
	if j.op == "list" {
		return ""
	}
	return j.spec.Name
}

// because is err with what the caller would have been warned of, where somebody on the
// network was waited for in vain: that may be why.
func (j *job) because(err error) error {
	if len(j.port.Warnings) == 0 || !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(j.port.Warnings, "; "))
}

func (j *job) log(ctx context.Context, stage string, args ...any) {
	if j.Log == nil {
		return
	}
	if name := j.about(); name != "" {
		args = append(args, "interface", name)
	}
	if j.guest != nil {
		args = append(args, "guest", j.guest.Name)
	}
	j.Log.DebugContext(ctx, j.op+": "+stage, args...)
}
