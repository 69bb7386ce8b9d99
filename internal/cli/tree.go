package cli

import "github.com/spf13/cobra"

// Tree is the command with all verbs and options, to be described: none of them does anything.
func Tree() *cobra.Command { return new(Options).commands(Verbs{}, nil) }
