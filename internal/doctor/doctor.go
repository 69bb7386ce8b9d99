// Package doctor looks at this machine, and says what keeps pipework from working here, and
// what to do about it. It changes nothing, but that the kernel may load modules of what is tried.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// A Level says how a Finding is meant.
type Level string

// What a Finding may be.
const (
	OK      Level = "ok"
	Note    Level = "note"    // works, or is not there; something may be missed
	Problem Level = "problem" // does not work
)

// A Finding is what one look found.
type Finding struct {
	About string `json:"about"` // what was looked at: capabilities, kernel, …
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Mend  string `json:"mend,omitempty"` // what to do, a command where there is one
}

// String is f on one line.
func (f Finding) String() string {
	text := fmt.Sprintf("%-8s %s: %s", f.Level, f.About, strings.ReplaceAll(f.Text, "\n", "; "))
	if f.Mend != "" {
		text += " -> " + f.Mend
	}
	return text
}

// A Machine is where to look.
type Machine struct {
	OVS     *ovs.Client
	State   string // the directory of the records
	Kinds   []link.Kind
	Sources []ns.Source // container runtimes
}

// patience is how long a runtime, or Open vSwitch, may take to answer.
const patience = 3 * time.Second

// Examine looks at everything at once, and returns the findings in a fixed order.
func (m Machine) Examine(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	looks := []func(context.Context) []Finding{capabilities, kernel, m.firewall, sysctls, m.runtimes, m.openvswitch, programs, m.records, m.uplinks}
	found := make([][]Finding, len(looks))
	var all sync.WaitGroup
	for i, look := range looks {
		all.Go(func() { found[i] = look(ctx) })
	}
	all.Wait()
	var list []Finding
	for _, f := range found {
		list = append(list, f...)
	}
	return list
}

func (m Machine) runtimes(ctx context.Context) (found []Finding) {
	for _, s := range m.Sources {
		ctx, cancel := context.WithTimeout(ctx, patience)
		ids, err := s.Running(ctx)
		cancel()
		f := Finding{"runtime", OK, fmt.Sprintf("%s answers: %d containers run", s, len(ids)), ""}
		switch {
		case err != nil && nobodyListens(err):
			f.Text = fmt.Sprintf("%s does not run here", s)
		case err != nil:
			f = Finding{"runtime", Problem, fmt.Sprintf("%s does not answer as it should: %v", s, err), "restart it, or set DOCKER_HOST or CONTAINER_HOST to where it listens"}
		}
		found = append(found, f)
	}
	return found
}

// nobodyListens says that there is no socket, or nobody behind it.
func nobodyListens(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

func (m Machine) openvswitch(ctx context.Context) []Finding {
	const about = "ovs"
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, _, err := m.OVS.Lookup(ctx, "pipework-doctor")
	switch {
	case err == nil:
		return []Finding{{about, OK, "the database of Open vSwitch answers", ""}}
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{{about, OK, "Open vSwitch is not on this machine", ""}}
	case nobodyListens(err):
		return []Finding{{about, Note, "Open vSwitch was on this machine, and does not run", "systemctl start openvswitch-switch, or set OVS_RUNDIR to the directory of its socket"}}
	}
	return []Finding{{about, Problem, fmt.Sprintf("the database of Open vSwitch does not answer: %v", err), "systemctl restart openvswitch-switch"}}
}

// records looks at the directory where attachments are recorded.
func (m Machine) records(context.Context) []Finding {
	const about = "records"
	if _, err := os.Stat(m.State); errors.Is(err, fs.ErrNotExist) {
		return []Finding{{about, OK, m.State + " is not there yet: the first attach makes it", ""}}
	}
	s, err := keep.OpenExisting(m.State, m.Kinds...)
	if err != nil {
		return []Finding{{about, Problem, err.Error(), "name another directory with --state-dir or PIPEWORK_STATE"}}
	}
	defer func() { _ = s.Close() }()
	if damaged, _ := os.ReadDir(filepath.Join(m.State, "damaged")); len(damaged) > 0 {
		return []Finding{{about, Note, fmt.Sprintf("%d in %s/damaged could not be read as records", len(damaged), m.State), "type their lines again, and remove them"}}
	}
	if err := writable(m.State); err != nil {
		return []Finding{{about, Problem, fmt.Sprintf("%s: %v", m.State, err), "make it writable for root, or name another directory with --state-dir"}}
	}
	return []Finding{{about, OK, m.State + " is healthy", ""}}
}
