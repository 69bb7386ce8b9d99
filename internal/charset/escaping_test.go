package charset_test

import (
	"bytes"
	"testing"

	"github.com/go-pipework/pipework/internal/charset"
)

// TestEscaping passes on what programs say as it comes.
func TestEscaping(t *testing.T) {
	var out bytes.Buffer
	w := charset.Escaping(&out)
	for _, step := range []struct{ write, want string }{
		{"udhcpc: started\n\tv1", "udhcpc: started\n\tv1"},
		{"\xc3", ""}, {"\xa9", "é"},
		{"\xe2\x82", ""}, {"x", `\xe2\x82x`},
		{"\x1b[1m", `\x1b[1m`},
		{"\xff\xff", `\xff\xff`},
		{"", ""},
	} {
		out.Reset()
		if n, err := w.Write([]byte(step.write)); n != len(step.write) || err != nil {
			t.Error(n, err)
		}
		if out.String() != step.want {
			t.Errorf("%q came as %q, want %q", step.write, out.String(), step.want)
		}
	}
}
