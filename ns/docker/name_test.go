package docker

import (
	"errors"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestReference(t *testing.T) {
	for _, row := range []struct {
		name, give, want string
		err              error
	}{
		{name: "name", give: "web", want: "web"},
		{name: "as the engine writes it", give: "/web", want: "web"},
		{name: "all that is allowed", give: "Web_1.2-x", want: "Web_1.2-x"},
		{name: "one digit of an ID", give: "3", want: "3"},
		{name: "empty", give: "", err: fs.ErrInvalid},
		{name: "slash", give: "/", err: fs.ErrInvalid},
		{name: "two slashes", give: "//web", err: fs.ErrInvalid},
		{name: "parent", give: "..", err: fs.ErrInvalid},
		{name: "another path", give: "../images/json", err: fs.ErrInvalid},
		{name: "another request", give: "web/logs", err: fs.ErrInvalid},
		{name: "query", give: "web?size=1", err: fs.ErrInvalid},
		{name: "fragment", give: "web#", err: fs.ErrInvalid},
		{name: "escape", give: "web%2f..", err: fs.ErrInvalid},
		{name: "space", give: "web ", err: fs.ErrInvalid},
		{name: "newline", give: "web\n", err: fs.ErrInvalid},
		{name: "header", give: "web HTTP/1.1\r\nHost: x", err: fs.ErrInvalid},
		{name: "null", give: "web\x00", err: fs.ErrInvalid},
		{name: "option", give: "-web", err: fs.ErrInvalid},
		{name: "letters of elsewhere", give: "wéb", err: fs.ErrInvalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := reference(row.give)
			if got != row.want || !errors.Is(err, row.err) {
				t.Errorf("got %q, %v", got, err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("not one line: %q", err)
			}
		})
	}
}

// FuzzReference: whatever passes stays one element of a URL's path.
func FuzzReference(f *testing.F) {
	f.Add("web")
	f.Add("/..")
	f.Add("a/../../images")
	f.Fuzz(func(t *testing.T, name string) {
		ref, err := reference(name)
		if err != nil {
			return
		}
		at := "/containers/" + ref + "/json"
		if path.Clean(at) != at || (&url.URL{Path: at}).EscapedPath() != at || strings.Count(at, "/") != 3 {
			t.Errorf("%q leads to %q", name, at)
		}
	})
}
