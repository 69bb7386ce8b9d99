package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-pipework/pipework/internal/doctor"
	"github.com/go-pipework/pipework/ns/docker"
)

// doctor looks at this machine, and prints what it finds.
func (o *Options) doctor(ctx context.Context, v Verbs) error {
	m := doctor.Machine{OVS: v.OVS, State: o.RecordsDir(), Kinds: v.Kinds, Sources: docker.Engines()}
	return o.showFindings(m.Examine(ctx))
}

// showFindings prints what was found, a line each, and says how many are problems.
func (p Printer) showFindings(found []doctor.Finding) error {
	var b strings.Builder
	problems := 0
	for _, f := range found {
		line := fmt.Sprintf("%-8s %s: %s", f.Level, f.About, strings.ReplaceAll(f.Text, "\n", "; "))
		if f.Mend != "" {
			line += " -> " + f.Mend
		}
		if f.Level == doctor.Problem {
			problems++
		}
		fmt.Fprintln(&b, Line(line))
	}
	if err := p.Show(found, "%s", b.String()); err != nil || problems == 0 {
		return err
	}
	return fmt.Errorf("%d problems keep pipework from working here, see above", problems)
}
