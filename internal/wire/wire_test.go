package wire_test

import (
	"net/netip"
	"testing"

	"github.com/go-pipework/pipework/internal/wire"
)

// TestUnmarshalRefuses reads what is not one value of known fields.
func TestUnmarshalRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": 1} {}`:     `"{}" follows the value`,
		`{"a": 1}}`:       `"}" follows the value`,
		`{"a": 1}]`:       `"]" follows the value`,
		`{"a": 1} x`:      `"x" follows the value`,
		`{"b": 1}`:        `unknown field "b"`,
		`{"a": "1"}`:      "a: write a whole number, not text",
		`{"a": 1.5}`:      "a: write a whole number, not number 1.5",
		`{"l": "x"}`:      "l: write a list, not text",
		`{"d": 7}`:        "d: write text, not a number",
		`{"d": "7"}`:      `"7" is no duration: write one such as 20ms`,
		`{"m": [1]}`:      "m: write a mapping, not a list",
		`{"p": "1"}`:      `"1": no '/'`,
		`{"m": {"b": 1}}`: "b: write true or false, not a number",
		`[]`:              "write a mapping, not a list",
	} {
		var v struct {
			A int            `json:"a"`
			L []netip.Prefix `json:"l"`
			D wire.Duration  `json:"d"`
			P netip.Prefix   `json:"p"`
			M struct {
				B bool `json:"b"`
			} `json:"m"`
		}
		if err := wire.Unmarshal([]byte(text), &v); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	var n int
	if err := wire.Unmarshal([]byte(" 7\n"), &n); err != nil || n != 7 {
		t.Errorf("%d, %v", n, err)
	}
}
