package charset_test

import (
	"regexp"
	"testing"

	"github.com/go-pipework/pipework/internal/charset"
)

func TestWord(t *testing.T) {
	same := regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,4}$`)
	for _, s := range []string{"", "a", "Z9", "_", ".", "-a", "a.", "a-b_c", "abcdef", "ä", "aä", "a\n", "a b", "a/b", "@[`{/:", "\xff"} {
		if got := charset.Word(s, 5, "_", "_.-"); got != same.MatchString(s) {
			t.Errorf("%q: %t", s, got)
		}
	}
}
