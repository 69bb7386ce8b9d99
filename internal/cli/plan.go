package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
)

// dryRun is what each line of a dry run begins with.
const dryRun = "dry run: "

// ShowPlan prints what an attach would do.
func (p Printer) ShowPlan(at *pipework.Attachment, err error) error {
	if err != nil {
		return err
	}
	p.Warn(at.Warnings...)
	return p.Show(at, planned(at)...)
}

func planned(at *pipework.Attachment) []string {
	about := fmt.Sprintf("%s%s: %s: ", dryRun, at.Guest.Name, at.Name)
	return lines(at.Plan, about+"nothing to do", func(line string) string { return about + line })
}

// ShowMended mends what is not as declared, or tells how, and then prints what is.
func (o *Options) ShowMended(ctx context.Context, found []keep.Status, p *keep.Plugger) error {
	mend, text := p.Mend, func(at *pipework.Attachment) []string { return []string{at.String()} }
	if o.DryRun {
		mend, text = p.PlanMend, planned
	}
	var failed []error
	var texts []string
	all := []*pipework.Attachment{}
	for _, f := range found {
		at, err := mend(ctx, f)
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("%s: %s: %w", f.Guest, f.Interface, err))
		case at != nil:
			all, texts = append(all, at), append(texts, text(at)...)
		}
	}
	if len(all) == 0 && failed == nil {
		texts = []string{"no attachment is to be mended"}
	}
	return errors.Join(append(failed, o.Show(all, texts...))...)
}
