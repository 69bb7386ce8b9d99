//go:build linux

package ocihook_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestBundle: what is in a bundle, or named as a verb is, has the runtime do nothing else than what
// it is there for.
func TestBundle(t *testing.T) {
	s := newScene(t)
	runc := s.write("runc", "#!/bin/sh\necho runc \"$@\"\n")
	if err := os.Chmod(runc, 0o755); err != nil {
		t.Fatal(err)
	}
	elsewhere, linked := s.write("elsewhere", "untouched"), s.write("linked/config.json", `{"hostname": "web"}`)
	if err := os.Symlink(elsewhere, linked+".pipework"); err != nil {
		t.Fatal(err)
	}
	s.write("null/config.json", "null")
	s.write("large/config.json", `"`+strings.Repeat("x", 9<<20)+`"`)
	for _, row := range []struct{ words, said string }{
		{"create --bundle linked web", "runc create --bundle linked web"},
		{"--root /x create --bundle=linked web", "runc --root /x create --bundle=linked web"},
		{"create --bundle null web", "config.json is no object"},
		{"create --bundle large web", "more than 8 MiB"},
		{"create --bundle nosuch web", "no such file"},
		{"delete create", "runc delete create"},
		{"exec web rails db create", "runc exec web rails db create"},
	} {
		cmd := exec.Command(s.runtime(), append([]string{"--pipework-runc=" + runc}, strings.Fields(row.words)...)...)
		cmd.Dir = s.dir
		if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), row.said) || strings.Contains(string(out), "panic") {
			t.Errorf("%s: %s", row.words, out)
		}
	}
	if b, err := os.ReadFile(elsewhere); err != nil || string(b) != "untouched" {
		t.Errorf("what a link in the bundle led to is %.40q, %v", b, err)
	}
	if b, err := os.ReadFile(linked); err != nil || !bytes.Contains(b, []byte("createRuntime")) {
		t.Errorf("%s, %v", b, err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "*/*.pipework")); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
}

// TestLikeNames: what is recorded for another runtime's container of the same ID, or for a process
// that had the same number, is not this container's.
func TestLikeNames(t *testing.T) {
	s := newScene(t)
	_, g := nstest.Guest(t)
	cmd := exec.Command("sleep", "1000")
	if err := g.Start(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	h := s.open()
	pid := strconv.Itoa(cmd.Process.Pid)
	for _, guest := range []ns.Ref{{Kind: ns.Docker, Name: "web", ID: "3f2a"}, {Kind: ns.Process, Name: pid}} {
		spec := pipework.Spec{Link: link.Bridge{Name: "br-hook"}, Name: "eth1"}
		r := keep.Record{Guest: guest, Interface: "eth1", Spec: spec, Source: keep.FromLabel, Phase: keep.Attached}
		if guest.Kind == ns.Process {
			r.Source = keep.FromCommand
		}
		if err := h.Store.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	before := len(s.records())
	for _, stage := range []string{"createRuntime", "poststop"} {
		cmd := exec.Command(s.runtime(), "--pipework-state-dir="+s.state, "hook", stage)
		cmd.Stdin = strings.NewReader(`{"id": "3f2a", "pid": ` + pid + `, "bundle": "` + s.dir + `"}`)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", stage, err, out)
		}
	}
	if left := s.records(); len(left) != before {
		t.Errorf("left: %q", left)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}
