package uplinkverb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/go-pipework/pipework/internal/option"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/uplink"
)

// examined prints what would be refused, and what the surroundings must allow.
func (c Call) examined(x *uplink.Examined, err error) error {
	if err != nil {
		return err
	}
	var lines []string
	for _, why := range x.Refused {
		lines = append(lines, "refused: "+why)
	}
	switch {
	case x.Existed:
		lines = []string{fmt.Sprintf("%s is under %s already", x.NIC, x.Bridge)}
	case len(x.Refused) == 0:
		lines = []string{fmt.Sprintf("%s can be put under %s: nothing refuses it", x.NIC, x.Bridge)}
	default:
		err = fmt.Errorf("%s cannot be put under %s: see above", x.NIC, x.Bridge)
	}
	for _, note := range x.Notes {
		lines = append(lines, "note: "+note)
	}
	return errors.Join(err, c.Out.Show(x, lines...))
}

// configured prints the files of a network manager. Those for who wants the NIC left alone are
// comments.
func (c Call) configured(files []uplink.ConfigFile, err error) error {
	if err != nil {
		return err
	}
	var lines []string
	instead := false
	for _, f := range files {
		mark := ""
		if f.Instead {
			mark = "# "
			if !instead {
				lines = append(lines, "# In place of all that, to have the NIC left alone, and moved by pipework uplink:", "#")
			}
			instead = true
		}
		lines = append(lines, "# "+f.Path)
		for line := range strings.Lines(f.Text) {
			lines = append(lines, strings.TrimRight(mark+strings.TrimSuffix(line, "\n"), " "))
		}
		lines = append(lines, "")
	}
	return c.Out.Show(files, lines[:len(lines)-1]...)
}

// unopened is the error of a directory of records that cannot be opened.
type unopened struct{ error }

func (u unopened) Unwrap() error { return u.error }

// uplinks are those of the records; none where there are no records.
func (c Call) uplinks(ctx context.Context, do func(uplink.Plan, []uplink.Status) error) error {
	store, err := keep.OpenExisting(c.Dir, link.Kinds()...)
	if errors.Is(err, fs.ErrNotExist) {
		return do(uplink.Plan{}, nil)
	}
	if err != nil {
		return unopened{err}
	}
	defer func() { _ = store.Close() }()
	p := uplink.Plan{Store: store, OVS: c.OVS}
	all, err := uplink.List(ctx, p)
	return errors.Join(err, do(p, all))
}

func texts(all []uplink.Status) (lines []string) {
	for _, s := range all {
		lines = append(lines, s.String())
	}
	return lines
}

// list is the verb without words.
func (c Call) list(ctx context.Context) error {
	return c.uplinks(ctx, func(_ uplink.Plan, all []uplink.Status) error {
		if len(all) == 0 {
			return c.Out.Show([]uplink.Status{}, "no NIC is under a bridge")
		}
		return c.Out.Show(all, texts(all)...)
	})
}

// After is run, which goes on with the host's uplinks where no guests are named.
func After(run func(context.Context, []string) error, with func(Call, context.Context) error, call func() Call) func(context.Context, []string) error {
	return func(ctx context.Context, words []string) error {
		err := run(ctx, words)
		if c := call(); len(words) == 0 && !c.Skip && !errors.Is(err, option.ErrUsage) {
			failed := with(c, ctx)
			if _, told := errors.AsType[unopened](failed); !told { // run has told it
				err = errors.Join(err, failed)
			}
		}
		return err
	}
}

// List prints uplinks behind a list of attachments. What is JSON is a list of attachments alone.
func (c Call) List(ctx context.Context) error {
	if c.JSON {
		return nil
	}
	return c.uplinks(ctx, func(_ uplink.Plan, all []uplink.Status) error { return c.Out.Show(nil, texts(all)...) })
}

// Check prints uplinks behind what check says of attachments, and is an error where one is not as
// recorded. With Mend it puts that right.
func (c Call) Check(ctx context.Context) error {
	return c.uplinks(ctx, func(p uplink.Plan, all []uplink.Status) error {
		if c.Mend {
			return c.mend(ctx, p, all)
		}
		wrong := 0
		for _, s := range all {
			if !s.OK() {
				wrong++
			}
		}
		var err error
		if wrong > 0 {
			err = fmt.Errorf("%d of %d uplinks are not as recorded: see pipework uplink", wrong, len(all))
		}
		return errors.Join(err, c.show(texts(all)))
	})
}

// mend puts right what is not as recorded, or says what would be.
func (c Call) mend(ctx context.Context, p uplink.Plan, all []uplink.Status) error {
	var failed []error
	var lines []string
	for _, s := range all {
		if s.OK() {
			continue
		}
		about := fmt.Sprintf("uplink %s: %s: ", s.Bridge, s.NIC)
		if c.DryRun {
			lines = append(lines, "dry run: "+about+"would be mended: "+strings.Join(s.Details, "; "))
			continue
		}
		p.Bridge, p.NIC = s.Bridge, s.NIC
		mended, err := uplink.Mend(ctx, p)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s%w", about, err))
		}
		if len(mended) > 0 {
			lines = append(lines, about+"mended: "+strings.Join(mended, "; "))
		}
	}
	return errors.Join(append(failed, c.show(lines))...)
}

// show prints lines where no JSON was asked for.
func (c Call) show(lines []string) error {
	if c.JSON {
		return nil
	}
	return c.Out.Show(nil, lines...)
}
