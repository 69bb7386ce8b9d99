package cli

import "github.com/go-pipework/pipework/link"

// ShowCollected prints what gc did, or would do.
func (o *Options) ShowCollected(all []link.Collected) error {
	text, none := link.Collected.String, ""
	if o.DryRun {
		none = dryRun + "nothing to do"
		text = func(c link.Collected) string { return dryRun + c.Would() }
	}
	return o.Show(append([]link.Collected{}, all...), lines(all, none, text)...)
}
