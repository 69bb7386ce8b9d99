package option

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/go-pipework/pipework/internal/charset"
)

// most is the longest that an option has somebody wait.
const most = 24 * time.Hour

// Duration adds an option that takes a time to wait, such as 10s, or a number of seconds.
func Duration(fs *pflag.FlagSet, to *time.Duration, name, help string) {
	Add(fs, name, "", "duration", help, func(text string) (err error) {
		if n, failed := strconv.ParseUint(text, 10, 31); failed == nil {
			*to = time.Duration(n) * time.Second
		} else {
			*to, err = time.ParseDuration(text)
		}
		if err != nil || *to <= 0 || *to > most {
			return fmt.Errorf("--%s %q is no time to wait: write one such as 10s or 2m", name, text)
		}
		return nil
	})
}

// Text adds an option that takes any text that can be printed, and is not empty.
func Text(fs *pflag.FlagSet, to *string, name, value, help string) {
	Add(fs, name, "", value, help, func(text string) error {
		if *to = text; text == "" || charset.Escaped(text, "") != text {
			return fmt.Errorf("--%s %q: write some printable text, or leave the option out", name, text)
		}
		return nil
	})
}
