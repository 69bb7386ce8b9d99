package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
	return p.Show(at, "%s", planText(at))
}

func planText(at *pipework.Attachment) string {
	about := fmt.Sprintf("%s%s: %s: ", dryRun, at.Guest.Name, at.Name)
	if len(at.Plan) == 0 {
		return Line(about+"nothing to do") + "\n"
	}
	var b strings.Builder
	for _, line := range at.Plan {
		fmt.Fprintln(&b, Line(about+line))
	}
	return b.String()
}

// ShowMended mends what is not as declared, or tells how, and then prints what is.
func (o *Options) ShowMended(ctx context.Context, found []keep.Status, p *keep.Plugger) error {
	mend := p.Mend
	if o.DryRun {
		mend = p.PlanMend
	}
	var failed []error
	all := []*pipework.Attachment{}
	var text strings.Builder
	for _, f := range found {
		at, err := mend(ctx, f)
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("%s: %s: %w", f.Guest, f.Interface, err))
		case at != nil && o.DryRun:
			all = append(all, at)
			text.WriteString(planText(at))
		case at != nil:
			all = append(all, at)
			fmt.Fprintln(&text, Attachment(at, true, ""))
		}
	}
	if len(all) == 0 && failed == nil {
		text.WriteString("nothing to mend\n")
	}
	return errors.Join(append(failed, o.Show(all, "%s", text.String()))...)
}
