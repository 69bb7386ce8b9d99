package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/doctor"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"eth1: ok; é '\"\\": "eth1: ok; é '\"\\",
		"a\x1b[31mb":        `a\x1b[31mb`,
		"\u009b31m\x9b31m":  `\u009b31m\x9b31m`,
		"a\u202eb\r\t\x7f":  `a\u202eb\r\t\x7f`,
		"\ufffd":            "\ufffd",
	} {
		if got := Line(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if got := Line("a\nb"); got != `a\nb` {
		t.Error(got)
	}
}

// hostile are texts that guests, servers and databases may choose, and how they are shown.
var hostile = map[string]string{
	"colour":              "a\x1b[31mb",
	"title":               "a\x1b]0;root\ab",
	"C1, as one byte":     "a\x9b31mb",
	"C1":                  "a\u009b31m\u0085\u0080b",
	"back and over":       "a\b\b\rb",
	"clear":               "a\x0c\vb",
	"DEL":                 "a\x7fb",
	"NUL":                 "a\x00b",
	"right to left":       "a\u202eb\u2066c\u200f",
	"invisible":           "a\u200b\ufeff\u00adb\u2028c\u2029",
	"no character":        "a\ufffe\xff\xc3b",
	"beyond 16 bits":      "a\U000e0041\U000f0000b",
	"a line of its own":   "a\npipework: ok",
	"a column of its own": "a\tb",
}

// TestNothingRawIsPrinted has hostile texts in everything that is printed.
func TestNothingRawIsPrinted(t *testing.T) {
	log := func(out *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(charset.Escaping(out), nil)) }
	for name, text := range hostile {
		at := &pipework.Attachment{
			Guest: ns.Identity{Name: text, NetworkOf: text}, Name: text, Link: text, HostName: text,
			Displaced: []string{text}, Drifts: []string{text}, Mended: []string{text}, Warnings: []string{text}, Existed: true,
			Lease: &dhcp.Lease{Addr: netip.MustParsePrefix("10.0.0.2/24"), Domain: text, Search: []string{text}},
		}
		rec := &keep.Record{Guest: ns.Ref{Kind: "netns", Name: text}, Interface: text, Attachment: at}
		status := keep.Status{Guest: rec.Guest, Interface: text, Details: []string{text}, Attachment: at}
		for place, print := range map[string]func(out *bytes.Buffer) error{
			"attach":       func(out *bytes.Buffer) error { return Printer{Out: out}.ShowAttached(at, false, "") },
			"attach, JSON": func(out *bytes.Buffer) error { return Printer{Out: out, JSON: true}.ShowAttached(at, false, "") },
			"check":        func(out *bytes.Buffer) error { return Printer{Out: out}.Show(nil, status.String()) },
			"check, JSON":  func(out *bytes.Buffer) error { return Printer{Out: out, JSON: true}.Show([]keep.Status{status}) },
			"list":         func(out *bytes.Buffer) error { return WriteTable(out, []*pipework.Attachment{at}) },
			"detach":       func(out *bytes.Buffer) error { return Printer{Out: out}.Show(nil, new(Options).Detached(rec)) },
			"forget": func(out *bytes.Buffer) error {
				return Printer{Out: out}.Show(nil, new(Options).Detached(&keep.Record{Guest: rec.Guest, Interface: text}))
			},
			"detach --all": func(out *bytes.Buffer) error {
				o := Options{Printer: Printer{Out: out}}
				return o.ShowDetached(rec.Guest, []*keep.Record{rec})
			},
			"nothing to detach": func(out *bytes.Buffer) error {
				o := Options{Printer: Printer{Out: out}}
				return o.ShowDetached(rec.Guest, nil)
			},
			"gc": func(out *bytes.Buffer) error {
				o := Options{Printer: Printer{Out: out}}
				return o.ShowCollected([]link.Collected{{Kind: "bridge", Name: text, Done: "removed", Guest: rec.Guest}})
			},
			"dry run": func(out *bytes.Buffer) error {
				return Printer{Out: out}.ShowPlan(&pipework.Attachment{Name: text, Plan: []string{text}}, nil)
			},
			"doctor": func(out *bytes.Buffer) error {
				return Printer{Out: out}.Show(nil, doctor.Finding{Text: text, Mend: text}.String())
			},
			"check --policy": func(out *bytes.Buffer) error {
				return Printer{Out: out}.Show(nil, watch.Request{Guest: text, From: text, Line: text, By: text}.String())
			},
			"warning": func(out *bytes.Buffer) error { Printer{Err: out}.Warn(text); return nil },
			"error":   func(out *bytes.Buffer) error { Exit(out, errors.New(text)); return nil },
			"usage": func(out *bytes.Buffer) error {
				Exit(out, Count([]string{"web", text}, 1, 1, "detach"))
				return nil
			},
			"log": func(out *bytes.Buffer) error {
				log(out).Info(text, "guest", text, "error", errors.New(text), "drift", []string{text})
				return nil
			},
			"program": func(out *bytes.Buffer) error { _, err := charset.Escaping(out).Write([]byte(text)); return err },
			"program, in pieces": func(out *bytes.Buffer) error {
				w := charset.Escaping(out)
				for i := range len(text) {
					if _, err := w.Write([]byte{text[i]}); err != nil {
						return err
					}
				}
				return nil
			},
		} {
			var out bytes.Buffer
			if err := print(&out); err != nil {
				t.Errorf("%s, %s: %v", place, name, err)
			}
			checkPrints(t, place+", "+name, out.String())
		}
	}
}

// checkPrints fails the test where what was printed has more than printable characters, or lines
// that the command did not make.
func checkPrints(t *testing.T, what, printed string) {
	t.Helper()
	raw := func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\n' && (r != '\t' || !strings.HasPrefix(what, "program"))
	}
	if printed == "" || !utf8.ValidString(printed) || strings.ContainsFunc(printed, raw) {
		t.Errorf("%s: printed %q", what, printed)
	}
	if strings.Contains(printed, "\npipework: ok") && !strings.HasPrefix(what, "program") { // whose lines they are
		t.Errorf("%s: printed a line of somebody else's: %q", what, printed)
	}
}

// TestJSONMeansTheSame reads what was written as JSON.
func TestJSONMeansTheSame(t *testing.T) {
	for name, text := range hostile {
		var out bytes.Buffer
		var got []string
		if err := (Printer{Out: &out, JSON: true}).Show([]string{text}); err != nil {
			t.Error(err)
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || fmt.Sprint(got) != fmt.Sprint([]string{strings.ToValidUTF8(text, "\ufffd")}) && utf8.ValidString(text) {
			t.Errorf("%s: %q, %v of %q", name, got, err, out.String())
		}
	}
	var out bytes.Buffer
	if err := (Printer{Out: &out, JSON: true}).Show([]string{"\u009b\x7f\u202e\U000e0041é<"}); err != nil {
		t.Error(err)
	}
	if want := "[\n  \"\\u009b\\u007f\\u202e\\udb40\\udc41é\\u003c\"\n]\n"; out.String() != want {
		t.Errorf("%s", out.String())
	}
}
