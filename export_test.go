//go:build linux

package pipework

import "github.com/go-pipework/pipework/internal/parts"

// With is the Attacher with further concerns beside those of the Specs.
func (a Attacher) With(more ...parts.Part) *Attacher {
	a.more = more
	return &a
}
