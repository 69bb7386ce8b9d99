package pipework

import (
	"fmt"
	"slices"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
)

// maxRules is how many rules an interface's mark has room for.
const maxRules = 16

// validPolicy says what is wrong with routes, rules and shaping.
func (s Spec) validPolicy() error {
	var wrong []error
	if len(s.Rules) > maxRules {
		wrong = append(wrong, fmt.Errorf("%d rules: an interface has at most %d", len(s.Rules), maxRules))
	}
	for i, r := range s.Routes {
		wrong = append(wrong, r.Validate())
		if slices.Contains(s.Routes[:i], r) {
			wrong = append(wrong, fmt.Errorf("route %s is given twice", r))
		}
	}
	for i, r := range s.Rules {
		wrong = append(wrong, r.Validate())
		if slices.ContainsFunc(s.Rules[:i], func(o link.Rule) bool { return o.Priority == r.Priority }) {
			wrong = append(wrong, fmt.Errorf("two rules have priority %d: give each its own", r.Priority))
		}
	}
	for _, shape := range []*link.Shaping{s.Egress, s.Ingress} {
		if shape != nil {
			wrong = append(wrong, shape.Validate())
		}
	}
	return errs.Join(wrong...)
}
