// Package plugin is what the ways in by container runtimes share: it opens what attachments are
// recorded in, and attaches what a guest is declared to have, in the words of labels or as a Spec.
// It needs the privileges of [pipework.Attach].
package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
	"github.com/go-pipework/pipework/ovs"
	"github.com/go-pipework/pipework/uplink"
)

// A Host is the host as a plugin works on it.
type Host struct {
	keep.Plugger
	// Declarations say which of the things that guests declare are honoured.
	Declarations config.Declarations
}

// Kinds are those of the links that Specs may have.
func Kinds() []link.Kind { return append(link.Kinds(), ovs.Kind()) }

// RecordsDir is the directory of the records: this one, or for "" the one that the variable
// PIPEWORK_STATE names, or else [keep.DefaultDir].
func RecordsDir(dir string) string { return cmp.Or(dir, os.Getenv("PIPEWORK_STATE"), keep.DefaultDir) }

// Open opens the records in RecordsDir. The Host is to be closed.
func Open(dir string, d config.Declarations) (*Host, error) {
	h := &Host{Declarations: d}
	var err error
	if h.Store, err = keep.Open(RecordsDir(dir), Kinds()...); err != nil {
		return nil, err
	}
	h.OVS, h.Target, h.Follow = ovs.FromEnvironment(), Target(h.Store), uplink.Follow
	return h, nil
}

// Target finds guests, those of CNI's by their records.
func Target(records *keep.Store) func(ns.Ref) pipework.Target {
	return func(guest ns.Ref) pipework.Target { return find.Target(records.Known(guest)) }
}

// Close lets go what Open opened.
func (h *Host) Close() error { return errs.Join(h.OVS.Close(), h.Store.Close()) }

// Link is what a word of the classic command line stands for on this host just now, such as br1,
// ovs0 or macvlan:eth0, with the VLAN, 0 for none.
func (h *Host) Link(ctx context.Context, word string, vlan int) (keep.Declared, error) {
	l := config.Line{Interface: word, Guest: "guest"}
	if vlan != 0 {
		l.VLAN = strconv.Itoa(vlan)
	}
	return h.Declared(ctx, l)
}

// Declare attaches what a container declares by labels, such as
//
//	pipework.eth1=br1 192.168.1.1/24
//
// as far as that is permitted: all of it, or after an error nothing that was not there before.
func (h *Host) Declare(ctx context.Context, guest ns.Ref, c *ns.Container) (all []*pipework.Attachment, err error) {
	defer func() {
		if err == nil {
			return
		}
		late, end := finish.Context(ctx)
		defer end()
		for _, at := range all {
			if !at.Existed {
				_, undo := h.Detach(late, guest, at.Name, keep.DetachOptions{})
				err = errs.Join(err, undo)
			}
		}
		all = nil
	}()
	who := h.Declarations.Who(guest.Kind, c)
	for _, own := range h.Declarations.Of(c) {
		if own.Err != nil {
			return all, fmt.Errorf("%s: %w", own.From, own.Err)
		}
		at, err := h.declare(ctx, guest, who, own.Line)
		if err != nil {
			return all, fmt.Errorf("%s: %w", own.From, err)
		}
		all = append(all, at)
	}
	return all, nil
}

// declare attaches one of them.
func (h *Host) declare(ctx context.Context, guest ns.Ref, who config.Who, line config.Line) (*pipework.Attachment, error) {
	d, err := h.Declared(ctx, line)
	if err != nil {
		return nil, err
	}
	if d.Spec, _, err = h.Declarations.Permit(who, d.Spec, line.Interface); err != nil {
		return nil, err
	}
	d.Source = keep.FromLabel
	at, _, err := h.Attach(ctx, guest, d)
	return at, err
}

// Policy reads the policy in the file, "" being that of [config.DefaultPolicy], where that is there:
// else it is nil, which permits what it always did. A file that is named and is not there satisfies
// fs.ErrNotExist, and what is no file fs.ErrInvalid.
func Policy(file string) (*config.Policy, error) {
	path := cmp.Or(file, config.DefaultPolicy)
	info, err := os.Stat(path)
	switch {
	case file == "" && errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil && !info.Mode().IsRegular():
		return nil, errs.New(fs.ErrInvalid, "policy: %s is no file: name one with --policy", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, config.SpecMax+1))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return config.ParsePolicy(path, text)
}
