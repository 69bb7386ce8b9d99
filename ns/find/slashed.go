package find

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/go-pipework/pipework/ns"
)

// dockersSpelling says whether the Ref may be a name with a slash before it, as Docker
// writes those of containers, and not a path.
func dockersSpelling(ref ns.Ref) bool {
	name, slash := strings.CutPrefix(ref.Name, "/")
	return ref.Kind == ns.File && slash && name != "" && !strings.Contains(name, "/")
}

// withoutSlash is the Ref of the name alone, where the Ref is spelled so and no file has
// that path.
func withoutSlash(ref ns.Ref) ns.Ref {
	if !dockersSpelling(ref) {
		return ref
	}
	if _, err := os.Lstat(ref.Name); !errors.Is(err, fs.ErrNotExist) {
		return ref
	}
	return ns.Ref{Name: ref.Name[1:]}
}

// A slashed guest is a path or, where that is none, the name behind the slash.
type slashed struct{ word string }

// String is the word.
func (s slashed) String() string { return s.word }

// Open opens the one or the other.
func (s slashed) Open(ctx context.Context) (*ns.Guest, error) {
	if name := withoutSlash(ns.ParseRef(s.word)); name.Kind == "" {
		return Target(name).Open(ctx)
	}
	return ns.Path(s.word).Open(ctx)
}
