package cli

import (
	"context"
	"errors"

	"github.com/go-pipework/pipework/internal/doctor"
	"github.com/go-pipework/pipework/ns/docker"
)

// doctor looks at this machine, prints what it finds, and says how many are problems.
func (o *Options) doctor(ctx context.Context, v Verbs) error {
	m := doctor.Machine{OVS: v.Plugger.OVS, State: o.RecordsDir(), Kinds: v.Kinds, Sources: docker.Engines()}
	found := m.Examine(ctx)
	isProblem := func(f doctor.Finding) bool { return f.Level == doctor.Problem }
	return errors.Join(o.Show(found, lines(found, "", doctor.Finding.String)...), failed(found, isProblem, "%d of %d findings keep pipework from working here, see above"))
}
