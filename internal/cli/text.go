package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// columns is how wide the text of --help may be.
const columns = 80

// helpText is what --help prints. Cobra's templates would do it too, and keep the linker from
// leaving out what nobody calls: 5 MB.
func helpText(cmd *cobra.Command) string {
	var b strings.Builder
	path := ""
	if cmd.HasParent() {
		path = cmd.Parent().CommandPath() + " "
	}
	long := cmd.Long
	if long == "" {
		long = cmd.Short
	}
	fmt.Fprintf(&b, "%s\n\nUsage:\n  %s%s\n", strings.TrimSpace(long), path, cmd.Use)
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nVerbs:\n")
	}
	for _, verb := range cmd.Commands() {
		if verb.IsAvailableCommand() {
			fmt.Fprintf(&b, "  %-11s %s\n", verb.Name(), verb.Short)
		}
	}
	options(&b, "Options", cmd.LocalFlags())
	options(&b, "Options of every verb", cmd.InheritedFlags())
	return b.String()
}

func options(b *strings.Builder, title string, fs *pflag.FlagSet) {
	if fs.HasAvailableFlags() {
		fmt.Fprintf(b, "\n%s:\n%s", title, fs.FlagUsagesWrapped(columns))
	}
}
