package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/go-pipework/pipework/internal/option"
)

// most is the longest that an option has somebody wait.
const most = 24 * time.Hour

// duration adds an option that takes a time to wait, such as 10s.
func duration(fs *pflag.FlagSet, to *time.Duration, name, help string) {
	option.Add(fs, name, "", "duration", help, func(text string) (err error) {
		if *to, err = time.ParseDuration(text); err != nil || *to <= 0 || *to > most {
			return fmt.Errorf("--%s %q is no time to wait: write one such as 10s or 2m", name, text)
		}
		return nil
	})
}

// timeout adds --timeout, which takes 10s, 1m30s, or a number of seconds.
func timeout(fs *pflag.FlagSet, to *time.Duration) {
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

// text adds an option that takes any text that can be printed, and is not empty.
func text(fs *pflag.FlagSet, to *string, name, value, help string) {
	option.Add(fs, name, "", value, help, func(text string) error {
		if *to = text; text == "" || Line(text) != text {
			return fmt.Errorf("--%s %q: write some printable text, or leave the option out", name, text)
		}
		return nil
	})
}

func checkEngines(addresses []string) error {
	for _, address := range addresses {
		if !strings.HasPrefix(address, "unix:///") {
			return fmt.Errorf("--engine needs addresses such as unix:///run/podman/podman.sock, not %q", address)
		}
	}
	return nil
}
