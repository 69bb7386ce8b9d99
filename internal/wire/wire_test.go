package wire_test

import (
	"testing"

	"github.com/go-pipework/pipework/internal/wire"
)

// TestUnmarshalRefuses reads what is not one value of known fields.
func TestUnmarshalRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": 1} {}`: `"{}" follows the value`,
		`{"a": 1}}`:   `"}" follows the value`,
		`{"a": 1}]`:   `"]" follows the value`,
		`{"a": 1} x`:  `"x" follows the value`,
		`{"b": 1}`:    `unknown field "b"`,
		`{"a": "1"}`:  "cannot unmarshal string into Go struct field .a of type int",
	} {
		var v struct {
			A int `json:"a"`
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
