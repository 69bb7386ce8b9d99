package link

import (
	"errors"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
)

// FromMark is the backend that a mark names, with default settings: enough for
// Check and Unplug. Backends of other packages are errors.ErrUnsupported.
func FromMark(m Mark) (Backend, error) {
	kind, name, _ := strings.Cut(m.Link, ":")
	if kind == "bridge" {
		return Bridge{Name: name, Forward: ForwardOff}, nil
	}
	return nil, errs.New(errors.ErrUnsupported, "plugged into %s, which is no backend of package link: give Spec.Link", m.Link)
}
