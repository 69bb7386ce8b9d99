package cli

import (
	"fmt"
	"strings"

	"github.com/go-pipework/pipework/link"
)

// ShowCollected prints what gc did, or would do, a line each.
func (o *Options) ShowCollected(all []link.Collected) error {
	var b strings.Builder
	for _, c := range all {
		text := c.String()
		if o.DryRun {
			text = dryRun + c.Would()
		}
		fmt.Fprintln(&b, Line(text))
	}
	return o.Show(append([]link.Collected{}, all...), "%s", b.String())
}
