package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/go-pipework/pipework/config"
)

// withPolicy has run know the policy.
func (o *Options) withPolicy(run Run) Run {
	return func(ctx context.Context, args []string) error {
		if err := o.readPolicy(); err != nil {
			return err
		}
		return run(ctx, args)
	}
}

// readPolicy reads the policy of --policy, or [config.DefaultPolicy], where that is there.
func (o *Options) readPolicy() error {
	path := cmp.Or(o.policy, config.DefaultPolicy)
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("policy: %s is no file: name one with --policy", path)
	}
	text, err := read(path)
	if o.policy == "" && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	o.Declarations.Policy, err = config.ParsePolicy(path, text)
	return err
}

// A Request is one attachment that a container asks for, and what is said to it.
type Request struct {
	Guest     string `json:"guest"`
	Interface string `json:"interface,omitempty"`
	From      string `json:"from"` // "label pipework.eth1"
	Line      string `json:"line,omitempty"`
	By        string `json:"by,omitempty"` // the rule's file and line
	Pin       bool   `json:"pin,omitempty"`
	Isolated  bool   `json:"isolated,omitempty"`
	Refused   string `json:"refused,omitempty"`
}

// Requests are one on a line.
func Requests(all []Request) string {
	if len(all) == 0 {
		return "no container asks for anything\n"
	}
	var b strings.Builder
	for _, r := range all {
		line := r.Guest + ": " + r.From
		if r.Line != "" {
			line += fmt.Sprintf(" (%s)", r.Line)
		}
		if r.Refused != "" {
			line += ": refused: " + r.Refused
		} else {
			line += ": permitted"
			if r.By != "" {
				line += " by " + r.By
			}
		}
		if r.Pin {
			line += ", pinned"
		}
		if r.Isolated {
			line += ", isolated"
		}
		fmt.Fprintln(&b, Line(line))
	}
	return b.String()
}

// Refused is nil where no Request is refused, and else says how many are.
func Refused(all []Request) error {
	n := 0
	for _, r := range all {
		if r.Refused != "" {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d are refused", n, len(all))
}
