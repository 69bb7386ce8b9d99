package cli

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/go-pipework/pipework/internal/option"
)

// help has a text for each verb: its words, what it does in one line, perhaps other words
// for it with commas; after an empty line more, and after "Examples:" command lines.
//
//go:embed help
var help embed.FS

// Verb is the command that help/NAME.txt describes; run is given the words that are no
// options, of which there are least at the fewest and most at the most, with -1 any number.
func Verb(name string, least, most int, run Run) *cobra.Command {
	text, err := help.ReadFile("help/" + name + ".txt")
	if err != nil {
		panic(err) // a text is missing from the program
	}
	head, body, _ := strings.Cut(string(text), "\n\n")
	long, examples, _ := strings.Cut(body, "Examples:\n")
	lines := append(strings.Split(head, "\n"), "")
	return &cobra.Command{
		Use: lines[0], Short: lines[1], SuggestFor: strings.Split(lines[2], ", "),
		Long: lines[1] + ".\n\n" + strings.TrimSpace(long), Example: strings.TrimRight(examples, "\n"),
		ValidArgsFunction: cobra.NoFileCompletions, DisableFlagsInUseLine: true, SilenceErrors: true, SilenceUsage: true,
		Args: func(*cobra.Command, []string) error { return nil },
		RunE: func(cmd *cobra.Command, args []string) error {
			err := Count(args, least, most, lines[0])
			if err == nil {
				err = run(cmd.Context(), args)
			}
			return of(cmd, err)
		},
	}
}

// Root is the command pipework, whose words are a classic line, with these verbs.
func Root(run Run, verbs ...*cobra.Command) *cobra.Command {
	root := Verb("pipework", 0, -1, nil)
	root.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd.Context(), args)
		if errors.Is(err, option.ErrUsage) && len(args) > 0 {
			if meant := meant(cmd, args[0]); meant != "" && (len(args) < 3 || option.Nearest(args[0], []string{meant}) == "") {
				err = unknown(cmd, args[0])
			}
		}
		return of(cmd, err)
	}
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { cmd.Print(helpText(cmd)) })
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return of(cmd, option.Wrong(cmd.Flags(), err)) })
	root.AddCommand(verbs...)
	help := Verb("help", 0, 1, func(_ context.Context, args []string) error {
		verb, _, err := root.Find(args)
		if err != nil || len(args) > 0 && verb == root {
			return of(root, unknown(root, args[0]))
		}
		return verb.Help()
	})
	help.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names(root), cobra.ShellCompDirectiveNoFileComp
	}
	root.SetHelpCommand(help)
	return root
}

// unknown is an error about a word that is no verb.
func unknown(root *cobra.Command, word string) error {
	if meant := meant(root, word); meant != "" {
		return option.Usage(fmt.Errorf("unknown verb %q: did you mean %s?", word, meant))
	}
	return option.Usage(fmt.Errorf("unknown verb %q: there are %s", word, strings.Join(names(root), ", ")))
}

// names are those of the verbs, without the ones that shells call for completion.
func names(root *cobra.Command) (all []string) {
	for _, verb := range root.Commands() {
		if !verb.Hidden {
			all = append(all, verb.Name())
		}
	}
	return all
}

// meant is the verb that the word stands for elsewhere, or that it is nearest to; "": none.
func meant(root *cobra.Command, word string) string {
	for _, verb := range root.Commands() {
		if word != "" && slices.Contains(verb.SuggestFor, word) {
			return verb.Name()
		}
	}
	return option.Nearest(word, names(root))
}

// of is err with the verb whose help tells more, where it is about the words typed.
func of(cmd *cobra.Command, err error) error {
	if _, is := errors.AsType[misused](err); !is && errors.Is(err, option.ErrUsage) {
		return misused{err, cmd.CommandPath()}
	}
	return err
}

// misused is an error about the words of one verb.
type misused struct {
	error
	verb string
}

func (m misused) Unwrap() error { return m.error }

// Count is an error where there are fewer words than least or more than most, for which
// syntax is the mend; most may be -1.
func Count(args []string, least, most int, syntax string) error {
	switch n := len(args); {
	case n < least:
		return option.Usage(fmt.Errorf("too few words (%d of at least %d): write pipework %s", n, least, syntax))
	case most >= 0 && n > most:
		return option.Usage(fmt.Errorf("too many words, the first too many is %q: write pipework %s", args[most], syntax))
	}
	return nil
}

// usage is an error about the words typed.
func usage(text string) error { return option.Usage(errors.New(text)) }
