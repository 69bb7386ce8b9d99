// Package cni is pipework as a CNI plugin: a main plugin, or one after others, for the
// specification's versions 0.3.1 to 1.1.0. Its configuration has a Spec's keys beside CNI's.
//
// An attachment is an interface of the guest cni:NETWORK/CONTAINER. It is recorded as all others
// are, so that `pipework check`, `pipework list` and `pipework watch` know it; nothing else is
// kept.
package cni

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/plugin"
)

// Main is the plugin's program: it does what CNI_COMMAND says, and ends the process where that
// fails.
func Main() {
	skel.PluginMainFuncs(skel.CNIFuncs{Add: verb(parse, add), Del: verb(some, del), Check: verb(parse, check), GC: verb(some, gc), Status: verb(parse, status)},
		version.PluginSupports("0.3.1", "0.4.0", "1.0.0", "1.1.0"), "pipework: plugs containers into networks")
}

// patience bounds one call: a runtime that kills a call undoes nothing.
const patience = 2 * time.Minute

// A call is what the runtime asks for.
type call struct {
	*plugin.Host
	*skel.CmdArgs
	conf *conf
}

// verb runs one verb, and tells its errors with the codes of the specification.
func verb(read func([]byte) (*conf, error), do func(context.Context, *call) error) func(*skel.CmdArgs) error {
	return func(a *skel.CmdArgs) error {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return coded(run(ctx, a, read, do))
	}
}

// some is parse for who takes away: that is done also where the configuration has become wrong.
func some(text []byte) (*conf, error) {
	c, err := parse(text)
	if c != nil {
		return c, nil
	}
	return nil, err
}

func run(ctx context.Context, a *skel.CmdArgs, read func([]byte) (*conf, error), do func(context.Context, *call) error) error {
	c, err := read(a.StdinData)
	if err != nil {
		return err
	}
	h, err := plugin.Open("", config.Declarations{})
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	return do(ctx, &call{h, a, c})
}

// Codes of errors; see the specification's section 5.
const (
	unsupportedField = types.ErrUnsupportedField
	unknownContainer = types.ErrUnknownContainer
	invalidConfig    = types.ErrInvalidNetworkConfig
	tryAgainLater    = types.ErrTryAgainLater
	notAvailable     = types.ErrPluginNotAvailable
	other            = types.ErrInternal
)

// coded is the error on one line, with a code.
func coded(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*types.Error](err); ok {
		return e
	}
	code := other
	if e, ok := errors.AsType[*pipework.Error](err); ok && e.Stage == pipework.StageGuest && errors.Is(err, fs.ErrNotExist) {
		code = unknownContainer
	} else if errors.Is(err, fs.ErrInvalid) {
		code = invalidConfig
	} else if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		code = tryAgainLater
	} else if errors.Is(err, errors.ErrUnsupported) {
		code = unsupportedField
	}
	return types.NewError(code, charset.Escaped(err.Error(), ""), "")
}

// guest is who is attached. One whose interface has another name than the runtime knows has that
// of the runtime's in its own, by which gc tells what is valid.
func (c *call) guest() ns.Ref {
	if c.conf.Interface != "" {
		return c.further()
	}
	return ns.Ref{Kind: ns.CNI, Name: c.conf.Name + "/" + c.ContainerID, ID: c.Netns}
}

// further is the guest as that of what its annotations declare, which goes with the interface.
func (c *call) further() ns.Ref {
	return ns.Ref{Kind: ns.CNI, Name: c.conf.Name + "/" + c.ContainerID + "/" + c.IfName, ID: c.Netns}
}

// name is the interface's in the guest.
func (c *call) name() string {
	if c.conf.Interface != "" {
		return c.conf.Interface
	}
	return c.IfName
}

// declared is what is to be attached.
func (c *call) declared(ctx context.Context) (d keep.Declared, err error) {
	if err := c.conf.ask(c.Args); err != nil {
		return d, err
	}
	d.Spec.Link = c.conf.Spec.Link
	if c.conf.Word != "" {
		if d, err = c.Link(ctx, c.conf.Word, c.conf.VLAN); err != nil {
			return d, err
		}
	}
	on := d.Spec.Link
	d.Spec = c.conf.Spec
	d.Spec.Link, d.Spec.Name = on, c.name()
	return d, nil
}

// add attaches. What fails leaves nothing, nor an address that an ipam plugin gave.
func add(ctx context.Context, c *call) (err error) {
	before, err := c.before()
	if err != nil {
		return err
	}
	d, err := c.declared(ctx)
	if err != nil {
		return err
	}
	// Only who attaches asks the policy: one that cannot be read keeps nobody from being detached.
	if c.Declarations.Policy, err = plugin.Policy(""); err != nil {
		return err
	}
	given := &given{}
	if !c.conf.IPAM.IsEmpty() {
		if given, err = c.ipam(ctx); err != nil {
			return err
		}
		given.into(&d.Spec)
	}
	r, err := c.attach(ctx, d, given, before)
	if err != nil {
		return errs.Join(err, c.giveBack())
	}
	return types.PrintResult(r, c.conf.CNIVersion)
}

// attach plugs the interface in, and those that annotations declare.
func (c *call) attach(ctx context.Context, d keep.Declared, given *given, before *result) (*result, error) {
	at, _, err := c.Attach(ctx, c.guest(), d)
	if err != nil {
		return nil, err
	}
	more, err := c.Declare(ctx, c.further(), &ns.Container{ID: c.ContainerID, Name: c.ContainerID, Labels: c.conf.Runtime.Annotations, ImageKnown: true})
	if err != nil {
		if at.Existed {
			return nil, err
		}
		late, end := finish.Context(ctx)
		defer end()
		_, undo := c.Detach(late, c.guest(), d.Spec.Name, keep.DetachOptions{})
		return nil, errs.Join(err, undo)
	}
	r := with(before, at, c.Netns)
	r.Routes, r.DNS = append(r.Routes, routesOf(d.Spec, at)...), c.dns(given, at)
	for _, at := range more {
		r = with(r, at, c.Netns)
	}
	return r, nil
}

// giveBack has the ipam plugin take its addresses back.
func (c *call) giveBack() error {
	if c.conf.IPAM.IsEmpty() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = os.Setenv("CNI_COMMAND", "DEL")
	return invoke.DelegateDel(ctx, c.conf.IPAM.Type, c.StdinData, nil)
}

// del detaches, as often as it is called, and also where the namespace is gone, or is not told.
func del(ctx context.Context, c *call) error {
	_, err := c.Detach(ctx, c.known(c.guest()), c.name(), keep.DetachOptions{})
	_, further := c.DetachGuest(ctx, c.known(c.further()), keep.DetachOptions{})
	return errs.Join(unlessMissing(err), unlessMissing(further), c.giveBack())
}

// known is the guest with the namespace's file as it is recorded, whatever the runtime tells; else
// as the runtime does.
func (c *call) known(guest ns.Ref) ns.Ref {
	if recorded := c.Store.Known(guest.WithID("")); recorded.ID != "" {
		return recorded
	}
	return guest
}

// unlessMissing is the error, unless it is that there is no such guest, or no such interface.
func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// recorded are some records. What is wrong with others is told elsewhere.
func (c *call) recorded(of func(*keep.Record) bool) ([]keep.Record, error) {
	all, _, err := c.Store.All()
	return slices.DeleteFunc(all, func(r keep.Record) bool { return !of(&r) }), err
}

// check compares what is attached with what was asked for: this interface, and those that
// annotations declare, but none of the guest's others, which have checks of their own.
func check(ctx context.Context, c *call) error {
	d, err := c.declared(ctx)
	if err != nil {
		return err
	}
	if !c.conf.IPAM.IsEmpty() {
		if err := invoke.DelegateCheck(ctx, c.conf.IPAM.Type, c.StdinData, nil); err != nil {
			return err
		}
	}
	all, err := c.Status(ctx, c.guest())
	if err != nil {
		return err
	}
	found := slices.DeleteFunc(all, func(s keep.Status) bool { return s.Interface != d.Spec.Name })
	if len(found) == 0 {
		return errs.New(fs.ErrNotExist, "%s has no %s of pipework's", c.guest(), d.Spec.Name)
	}
	further, err := c.recorded(func(r *keep.Record) bool { return r.Guest.Same(c.further()) })
	if err != nil {
		return err
	}
	if len(further) > 0 {
		more, err := c.Status(ctx, c.further())
		if err != nil {
			return err
		}
		found = append(found, more...)
	}
	for _, s := range found {
		if !s.OK() || s.State == keep.Absent {
			return types.NewError(other, charset.Escaped(s.String(), ""), "")
		}
	}
	return nil
}

// status says whether an attach could work now.
func status(ctx context.Context, c *call) error {
	if _, err := c.declared(ctx); err != nil {
		return types.NewError(notAvailable, charset.Escaped(err.Error(), ""), "")
	}
	if c.conf.IPAM.IsEmpty() {
		return nil
	}
	return invoke.DelegateStatus(ctx, c.conf.IPAM.Type, c.StdinData, nil)
}

// gc detaches what is attached to this network and is not among the valid attachments, which
// the runtime tells: by the records, and where there is none by the marks on the interfaces.
func gc(ctx context.Context, c *call) error {
	network := c.conf.Name + "/"
	valid := map[types.GCAttachment]bool{}
	for _, a := range c.conf.ValidAttachments {
		valid[a] = true
	}
	stale := func(guest ns.Ref, iface string) bool {
		rest, ours := strings.CutPrefix(guest.Name, network)
		container, with, further := strings.Cut(rest, "/")
		if further {
			iface = with
		}
		return guest.Kind == ns.CNI && ours && !valid[types.GCAttachment{ContainerID: container, IfName: iface}]
	}
	var failed []error
	all, err := c.recorded(func(r *keep.Record) bool { return stale(r.Guest, r.Interface) })
	failed = append(failed, err)
	for _, r := range all {
		_, err := c.Detach(ctx, r.Guest, r.Interface, keep.DetachOptions{})
		failed = append(failed, unlessMissing(err)) // it may have gone meanwhile
	}
	there, _, err := c.Listing(ctx)
	failed = append(failed, err)
	for _, at := range there {
		guest := ns.ParseRef(at.Guest.Name)
		if !stale(guest, at.Name) || at.Namespace == nil {
			continue
		}
		at.Namespace.Boot = ns.BootID()
		_, err := pipework.Detach(ctx, at.Namespace, pipework.Spec{Name: at.Name})
		failed = append(failed, err)
	}
	if !c.conf.IPAM.IsEmpty() {
		failed = append(failed, invoke.DelegateGC(ctx, c.conf.IPAM.Type, c.StdinData, nil))
	}
	return errs.Join(failed...)
}

// before is the result of the plugins before this one; an empty one where it is the first.
func (c *call) before() (*result, error) {
	if err := version.ParsePrevResult(&c.conf.PluginConf); err != nil {
		return nil, errs.New(fs.ErrInvalid, "prevResult: %w", err)
	}
	if c.conf.PrevResult == nil {
		return &result{CNIVersion: types100.ImplementedSpecVersion}, nil
	}
	if c.conf.Interface == "" {
		return nil, errs.New(fs.ErrInvalid, "this plugin comes after another one, which made %s: name the interface of this one, as in \"interface\": \"eth1\"", c.IfName)
	}
	r, err := types100.NewResultFromResult(c.conf.PrevResult)
	if err != nil {
		return nil, errs.New(fs.ErrInvalid, "prevResult: %w", err)
	}
	return r, nil
}
