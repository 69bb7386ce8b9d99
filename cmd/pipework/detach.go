package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/cli"
)

func (c *command) detach(ctx context.Context, args []string) error {
	if err := cli.Count(args, 1, 1, "detach <guest> [-i interface | --all]"); err != nil {
		return err
	}
	if c.all && c.line.Name != "" {
		return cli.Usage("-i and --all contradict each other: keep one")
	}
	if _, err := c.open(); err != nil {
		return err
	}
	guest, err := c.resolveFor(ctx, "detach", args[0], c.line.Name)
	if err != nil {
		return err
	}
	if c.all {
		gone, err := c.DetachGuest(ctx, guest, c.detaching)
		if len(gone) == 0 && err != nil {
			return err
		}
		attachments, text := cli.DetachedAll(guest, gone)
		return errors.Join(err, c.Show(attachments, "%s", text))
	}
	r, err := c.Detach(ctx, guest, c.line.Name, c.detaching)
	switch {
	case err != nil:
		return err
	case r == nil:
		return c.Show(nil, "%s has no %s: nothing to detach\n", guest, cmp.Or(c.line.Name, pipework.DefaultName))
	}
	if ctx.Err() != nil {
		fmt.Fprintln(c.warn, "pipework: interrupted when it had begun: it is finished")
	}
	return c.Show(r.Attachment, "%s\n", cli.Detached(r))
}
