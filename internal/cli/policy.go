package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
	"github.com/go-pipework/pipework/plugin"
	"github.com/go-pipework/pipework/watch"
)

// withPolicy has run know the policy.
func (o *Options) withPolicy(run Run) Run {
	return func(ctx context.Context, args []string) (err error) {
		if o.Declarations.Policy, err = plugin.Policy(o.policy); err != nil {
			return err
		}
		return run(ctx, args)
	}
}

// check is the verb: with --policy it explains that.
func (o *Options) check(v Verbs) Run {
	return func(ctx context.Context, words []string) error {
		switch {
		case o.DryRun && !o.Mend:
			return usage("--dry-run belongs to --mend: check changes nothing by itself")
		case o.explaining && o.Mend:
			return usage("--policy and --mend contradict each other: keep one")
		case !o.explaining:
			return v.Check(ctx, words)
		case o.policy == "" && len(words) > 0 && strings.HasPrefix(words[0], "/"): // no guest of an engine's
			o.policy, words = words[0], words[1:]
		}
		return o.withPolicy(func(ctx context.Context, words []string) error { return o.explain(ctx, words, v) })(ctx, words)
	}
}

// explain prints what these containers ask for, or all that run, and what is said to it.
func (o *Options) explain(ctx context.Context, words []string, v Verbs) error {
	w := watch.Watcher{Plugger: *v.Plugger, Sources: docker.Engines(o.Engines...), Declarations: o.Declarations}
	guests := make([]ns.Ref, len(words))
	for i, word := range words {
		guests[i] = ns.ParseRef(word)
	}
	all, err := w.Explain(ctx, guests...)
	if err != nil {
		return err
	}
	refused := failed(all, func(r watch.Request) bool { return r.Refused != "" }, "%d of %d are refused")
	return errors.Join(refused, o.Show(all, lines(all, "no container asks for anything", watch.Request.String)...))
}
