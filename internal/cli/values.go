package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/option"
	"github.com/go-pipework/pipework/keep"
)

// most is the longest that an option has somebody wait.
const most = 24 * time.Hour

// Duration adds an option that takes a time to wait, such as 10s.
func Duration(fs *pflag.FlagSet, to *time.Duration, name, help string) {
	option.Add(fs, name, "", "duration", help, func(text string) (err error) {
		if *to, err = time.ParseDuration(text); err != nil || *to <= 0 || *to > most {
			return fmt.Errorf("--%s %q is no time to wait: write one such as 10s or 2m", name, text)
		}
		return nil
	})
}

// Name adds -i.
func Name(fs *pflag.FlagSet, to *string) {
	option.Add(fs, "interface", "i", "name", "the interface's name inside the guest (eth1, or ib0 of InfiniBand)", config.Name("-i", to))
}

// Path adds an option that takes a path of the host.
func Path(fs *pflag.FlagSet, to *string, name, help string) {
	option.Add(fs, name, "", "path", help, config.Path("--"+name, to))
}

// Bool adds an option without a value, which sets to.
func Bool(fs *pflag.FlagSet, to *bool, name, help string) { option.Bool(fs, to, name, help) }

// Switch adds an option without a value.
func Switch(fs *pflag.FlagSet, name, short, help string, do func()) {
	option.Switch(fs, name, short, help, func() error { do(); return nil })
}

// VersionVerb prints the version.
func VersionVerb(out io.Writer) *cobra.Command {
	return Verb("version", func(_ context.Context, args []string) error {
		if err := Count(args, 0, 0, "version"); err != nil {
			return err
		}
		return PrintVersion(out)
	})
}

// PrintVersion prints the version.
func PrintVersion(out io.Writer) error {
	_, err := fmt.Fprintf(out, "pipework %s\n", Version())
	return err
}

// Timeout adds --timeout, which takes 10s, 1m30s, or a number of seconds.
func Timeout(fs *pflag.FlagSet, to *time.Duration) {
	option.Add(fs, "timeout", "", "duration", "with --wait: how long, as 10s (as long as it takes)", func(text string) (err error) {
		*to, err = time.ParseDuration(text)
		if n, failed := strconv.ParseUint(text, 10, 31); failed == nil {
			*to, err = time.Duration(n)*time.Second, nil
		}
		if err != nil || *to <= 0 {
			return fmt.Errorf("--timeout %q is no time: write one such as 10s", text)
		}
		return nil
	})
}

// Text adds an option that takes any text that can be printed, and is not empty.
func Text(fs *pflag.FlagSet, to *string, name, value, help string) {
	option.Add(fs, name, "", value, help, func(text string) error {
		if *to = text; text == "" || Line(text) != text {
			return fmt.Errorf("--%s %q: write some printable text, or leave the option out", name, text)
		}
		return nil
	})
}

// AddWatchFlags adds the options of watch.
func AddWatchFlags(fs *pflag.FlagSet, d *config.Declarations, engines *[]string, metrics *string) {
	option.Bool(fs, &d.TrustImages, "trust-images", "honour what images declare, too")
	option.Add(fs, "allow", "", "patterns", "interfaces of the host that containers may ask for, such as br*,ovs0", func(list string) (err error) {
		d.Allow, err = config.ParseAllow(list)
		return err
	})
	Text(fs, &d.Key, "key", "key", "the pipework_key that containers must have")
	Engines(fs, engines)
	option.Add(fs, "metrics", "", "path", "a socket to tell counters at, such as /run/pipework.sock", config.Path("--metrics", metrics))
}

// Explain adds --policy of check, whose value stands after =, where it has one.
func Explain(fs *pflag.FlagSet, on *bool, file *string) {
	option.Add(fs, "policy", "", "path", "explain what containers ask for, and what this policy says to it (="+config.DefaultPolicy+")", func(text string) error {
		if *on = true; text == config.DefaultPolicy {
			return nil
		}
		return config.Path("--policy", file)(text)
	})
	fs.Lookup("policy").NoOptDefVal = config.DefaultPolicy
}

// Engines adds --engine.
func Engines(fs *pflag.FlagSet, engines *[]string) {
	option.Add(fs, "engine", "", "address,...", "sockets of Docker and Podman, such as unix:///run/podman/podman.sock", func(list string) error {
		*engines = strings.Split(list, ",")
		for _, engine := range *engines {
			if !strings.HasPrefix(engine, "unix:///") {
				return fmt.Errorf("--engine needs addresses such as unix:///run/podman/podman.sock, not %q", engine)
			}
		}
		return nil
	})
}

// AddStateDir adds --state-dir.
func AddStateDir(fs *pflag.FlagSet, to *string) {
	Text(fs, to, "state-dir", "directory", "where attachments are recorded (PIPEWORK_STATE, or "+keep.DefaultDir+")")
}
