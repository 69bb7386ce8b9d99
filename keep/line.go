package keep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// This file is all that package keep knows of command lines: they become a Declared
// here, those of containers and of version 1 of the records, too.

// Declared is what a line means on this host just now. An error that satisfies
// fs.ErrNotExist says that there is no such host interface.
func (p *Plugger) Declared(ctx context.Context, line config.Line) (Declared, error) {
	b, err := p.linkOf(ctx, line)
	if err != nil {
		return Declared{}, err
	}
	return declaredBy(line, b)
}

// declaredBy is the line with the backend that its host interface stands for.
func declaredBy(line config.Line, b link.Backend) (Declared, error) {
	s, err := line.Spec(b)
	if s.Name == "" {
		s.Name = pipework.DefaultName
	}
	d := Declared{Spec: s, word: line.Interface, ignored: line.Ignored(s.Link)}
	if mac, byMAC := strings.CutPrefix(line.Interface, "mac:"); byMAC {
		address, _ := net.ParseMAC(mac) // config.Parse has read it
		d.HostMAC = pipework.MAC(address)
	}
	asked, wrong := line.DHCPConfig()
	if asked.Program != "" {
		d.Program = &Program{Name: asked.Program, Options: asked.Options, Stay: asked.Foreground}
	} else {
		d.Stay, d.Retry = asked.Foreground, asked.Again
	}
	if err == nil {
		err = wrong
	}
	return d, err
}

// linkOf is what the line's host interface stands for. One that is moved into the
// guest itself may be there already.
func (p *Plugger) linkOf(ctx context.Context, line config.Line) (link.Backend, error) {
	mac, byMAC := strings.CutPrefix(line.Interface, "mac:")
	if line.DirectPhys && !byMAC {
		return link.Phys{Device: line.Interface}, nil
	}
	if !line.DirectPhys {
		return p.Detect(ctx, line.Interface, p.OVS.Lookup)
	}
	b, err := p.Detect(ctx, line.Interface, nil)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	at, missing := plugged(ctx, p.observer(), p.Target(ns.ParseRef(line.Guest)), line.Name)
	if missing != nil || at == nil {
		return nil, err
	}
	want, _ := net.ParseMAC(mac)
	if device, is := strings.CutPrefix(at.Link, "phys:"); is && at.MAC.String() == want.String() {
		return link.Phys{Device: device}, nil
	}
	return nil, err
}

// guessed says that a line leaves it to the host what kind of link is meant.
func (d Declared) guessed() bool {
	kind, _, outright := strings.Cut(d.word, ":")
	_, moved := d.Spec.Link.(link.Phys)
	return d.word != "" && !moved && (!outright || kind == "mac")
}

// readLine fills in what a record of version 1 says by the words of a command line. The
// kind of the link is what the Attachment has.
func (r *Record) readLine(words []string) error {
	line, err := config.Parse(words)
	if err != nil {
		return fmt.Errorf("its line is not understood: %w", err)
	}
	line.Guest, line.Name = r.Guest.String(), r.Interface
	var b link.Backend
	switch {
	case r.Attachment != nil && r.Attachment.Link != link.Unmarked:
		b = backend(r.Attachment.Link, nil)
	case line.DirectPhys && !strings.HasPrefix(line.Interface, "mac:"):
		b = link.Phys{Device: line.Interface}
	}
	d, _ := declaredBy(line, b) // what the backend has no use for was never used
	r.declare(d)
	if b == nil {
		r.line = &line
	}
	return nil
}

// backend is the one that a mark or an Attachment names; nil: it names none.
func backend(name string, client *ovs.Client) link.Backend {
	if bridge, ok := strings.CutPrefix(name, "ovs:"); ok {
		return ovs.Bridge{Name: bridge, Client: client}
	}
	b, err := link.FromMark(link.Mark{Link: name})
	if err != nil {
		return nil
	}
	return b
}
