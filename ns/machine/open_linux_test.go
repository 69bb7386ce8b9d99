package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/internal/errs"
)

func TestParse(t *testing.T) {
	const text = "# This is private data. Do not parse.\nNAME=box\nSCOPE=machine-box.scope\nROOT=\"/a path\"\nLEADER=31\n\nCLASS=container\nODD\n"
	want := map[string]string{"# This is private data. Do not parse.": "", "NAME": "box", "SCOPE": "machine-box.scope", "ROOT": "/a path", "LEADER": "31", "CLASS": "container", "": "", "ODD": ""}
	if diff := cmp.Diff(want, parse(text)); diff != "" {
		t.Error(diff)
	}
}

func TestStates(t *testing.T) {
	dir := t.TempDir()
	for name, row := range map[string]struct {
		state string
		class error
		text  string
	}{
		"young":   {"NAME=young\nCLASS=container\n", fs.ErrNotExist, "machine young is starting"},
		"odd":     {"LEADER=12x\nSCOPE=a.scope\n", fs.ErrNotExist, "machine odd is starting"},
		"nobody":  {"LEADER=0\nSCOPE=a.scope\n", fs.ErrNotExist, "machine nobody is starting"},
		"stale":   {fmt.Sprintf("LEADER=%d\nSCOPE=machine-stale.scope\n", os.Getpid()), fs.ErrNotExist, "machine stale has ended: process"},
		"virtual": {"CLASS=vm\nLEADER=1\nSCOPE=a.scope\n", fs.ErrInvalid, "machine virtual is a virtual machine"},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(row.state), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Dir(dir).Machine(name).Open(t.Context()); !errors.Is(err, row.class) || !strings.HasPrefix(err.Error(), row.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Dir(dir).Machine("none").Open(t.Context()); !errors.Is(err, errs.ErrUnknown) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := Dir(dir + "/none").Machine("box").Open(t.Context()); !errors.Is(err, errs.ErrAbsent) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no systemd-machined: %v", err)
	}
}
