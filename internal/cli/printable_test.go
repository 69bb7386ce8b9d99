package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"eth1: ok; é '\"\\\n": "eth1: ok; é '\"\\\n",
		"a\x1b[31mb":          `a\x1b[31mb`,
		"\u009b31m\x9b31m":    `\u009b31m\x9b31m`,
		"a\u202eb\r\t\x7f":    `a\u202eb\r\t\x7f`,
		"\ufffd":              "\ufffd",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// TestNothingRawIsPrinted has a guest choose a name that moves the cursor.
func TestNothingRawIsPrinted(t *testing.T) {
	at := &pipework.Attachment{Name: "a\x1b[31m", Drifts: []string{"it is called a\x1b[31m"}}
	var out bytes.Buffer
	p := Printer{Out: &out}
	for what, err := range map[string]error{
		"show":  p.Show(at, "%s\n", Attachment(at)),
		"check": p.Show(nil, "%s", Report([]keep.Status{{Details: at.Drifts, Attachment: at}})),
		"list":  WriteTable(&out, []*pipework.Attachment{at}),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	Exit(&out, errors.New("a\x1b[31m"))
	if strings.Contains(out.String(), "\x1b") || strings.Count(out.String(), `a\x1b[31m`) != 5 {
		t.Errorf("%q", out.String())
	}
}
