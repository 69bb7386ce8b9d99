//go:build linux

package link

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what this version reads from testdata, to be looked through")

// TestMarksOfVersion0 reads the marks that version 0 put on the interfaces of its
// guests. marks-v0.txt has a name, the interface and the ifalias, as the command left
// them (see keep/testdata/write.sh), from trunks on as Attach did, and never changes;
// marks-v0.golden is what they say. What a NIC was stands behind a seal with that host's key.
func TestMarksOfVersion0(t *testing.T) {
	const written, said = "testdata/marks-v0.txt", "testdata/marks-v0.golden"
	text, err := os.ReadFile(written)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		m, ok := ParseMark(fields[2])
		if !ok {
			t.Errorf("%s: %q is taken for no mark", fields[0], fields[2])
		}
		type fieldsOf Mark // which has no String
		fmt.Fprintf(&got, "%s: %+v\n", fields[0], fieldsOf(m))
		if b, err := FromMark(m); err == nil {
			fmt.Fprintf(&got, "    %#v\n", b)
		} else if !strings.HasPrefix(m.Link, "ovs:") {
			t.Errorf("%s: %v", fields[0], err)
		}
		if m.Was == "" {
			continue
		}
		seal, was, _ := strings.Cut(m.Was, "~")
		past, err := parsePast(was)
		if err != nil || len(seal) != 12 {
			t.Errorf("%s: seal %q, %v", fields[0], seal, err)
		}
		fmt.Fprintf(&got, "    was %q, MAC %s, MTU %d, up %v, alias %q, addresses %v\n", past.Name, past.MAC, past.MTU, past.Up, past.Alias, past.Addrs)
	}
	if *update {
		if err := os.WriteFile(said, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(said)
	if diff := cmp.Diff(string(want), got.String()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
