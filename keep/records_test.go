//go:build linux

package keep

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/dhcp"
)

var update = flag.Bool("update", false, "write what this version reads from testdata, to be looked through")

// TestRecordsOfVersion0 reads the state directory that version 0 left. The records
// are what testdata/write.sh had it write, for every kind of link and lease, and
// never change; records-v0.txt is what they say: the Spec that each becomes. Written
// again, they say the same as version 2.
func TestRecordsOfVersion0(t *testing.T) {
	const written, said = "testdata/records-v0", "testdata/records-v0.txt"
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(written)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, dir) { // git keeps no modes
		if err := os.Chmod(file, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(dir, kinds...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	all, damaged, err := s.All()
	if err != nil || len(damaged) > 0 || len(all) != len(files) {
		t.Errorf("%d records of %d: %v, %v", len(all), len(files), damaged, err)
	}
	var got strings.Builder
	for _, r := range all {
		got.WriteString(says(t, &r, ""))
		writtenAgain(t, s, r)
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

// writtenAgain writes a record of version 1 and reads it as one of version 2.
func writtenAgain(t *testing.T, s *Store, r Record) {
	t.Helper()
	if r.line != nil {
		return // nobody has found out yet what its link is
	}
	put(t, s, r)
	now, err := s.Get(r.Guest, r.Interface)
	if err != nil {
		t.Fatal(err)
	}
	if now.Version != 2 {
		t.Errorf("%s: version %d", r.Guest, now.Version)
	}
	if diff := cmp.Diff(r.Declared().Text(), now.Declared().Text()); diff != "" {
		t.Errorf("%s (-read +written again):\n%s", r.Guest, diff)
	}
}

// says is all that a record says, on a few lines.
func says(t *testing.T, r *Record, indent string) string {
	t.Helper()
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, indent+format+"\n", args...) }
	say("%s %s (version %d, %s, %s, ID %q), changed %s", r.Guest, r.Interface, r.Version, r.Source, r.Phase, r.Guest.ID, r.Changed)
	spec, err := json.Marshal(r.Spec)
	if err != nil {
		t.Errorf("%s: %v", r.Guest, err)
	}
	say("    spec %s", spec)
	if r.Program != nil {
		say("    program %+v", *r.Program)
	}
	if r.HostMAC != nil {
		say("    host MAC %s", r.HostMAC)
	}
	if r.line != nil {
		say("    link to be found by %q", r.line.Args())
	}
	if at := r.Attachment; at != nil {
		say("    %+v: %s, index %d, %s, host end %q, MAC %s, MTU %d, addresses %v, gateways %v, displaced %q",
			at.Guest, at.Name, at.Index, at.Link, at.HostName, at.MAC, at.MTU, at.Addrs, at.Gateways, at.Displaced)
		say("    existed %v, mended %q, added %v, drifts %q, warnings %q", at.Existed, at.Mended, at.Added, at.Drifts, at.Warnings)
		for _, l := range []*dhcp.Lease{at.Lease, at.Lease6} {
			if l != nil {
				say("    lease %s", leaseSays(l))
			}
		}
	}
	if r.Before != nil {
		b.WriteString(says(t, r.Before, indent+"    before: "))
	}
	return b.String()
}

func leaseSays(l *dhcp.Lease) string {
	addrs := []netip.Addr{}
	for _, a := range l.Addrs {
		addrs = append(addrs, a.Addr)
	}
	return fmt.Sprintf("%s %v of %s (%x), routers %v, routes %v, DNS %v, domain %q, search %q, MTU %d, NTP %v, options %v, client %x, IAID %d, renew %s, rebind %s, expires %s",
		l.Addr, addrs, l.Server, l.ServerID, l.Routers, l.Routes, l.DNS, l.Domain, l.Search, l.MTU, l.NTP, l.Options, l.ClientID, l.IAID, l.Renew, l.Rebind, l.Expires)
}
