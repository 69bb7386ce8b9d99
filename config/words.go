package config

import (
	"maps"
	"slices"
	"strings"
)

// words are a command line taken apart and not yet understood.
type words struct {
	problems
	known      map[string]bool   // the options, and whether each takes a value
	values     map[string]string // by option; "" for one that takes none
	positional []string
	lost       bool // an option was unknown or cut short: words may not be what they seem
}

// scan takes args apart by the options it knows.
func scan(args []string, known map[string]bool) words {
	w := words{known: known, values: map[string]string{}}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			w.positional = append(w.positional, args...)
			return w
		case isOption(word):
			args = w.option(word, args)
		default:
			w.positional = append(w.positional, word)
		}
	}
	return w
}

// isOption reports whether word reads as an option where it stands before --.
func isOption(word string) bool { return len(word) > 1 && word[0] == '-' }

// everywhere are the options that [Split] knows.
const everywhere = "for every command --json, -v, --resolv-conf=<path>, --state-dir, --forward, --no-forward, --wait-guest, --probe, --help, --version"

// option reads one option, and its value from rest where it needs it, and
// returns what is left of rest.
func (w *words) option(word string, rest []string) []string {
	name, value, inline := strings.Cut(word, "=")
	takes, known := w.known[name]
	switch {
	case !known:
		w.lost = true
		own := ""
		if len(w.known) > 0 {
			own = strings.Join(slices.Sorted(maps.Keys(w.known)), ", ") + ", and "
		}
		w.addf("unknown option %q: the options are %s%s", word, own, everywhere)
	case !takes && inline:
		w.addf("option %s takes no value: write %s alone, not %q", name, name, word)
	case takes && !inline && (len(rest) == 0 || isOption(rest[0])):
		w.lost = true
		w.addf("option %s has no value: write %s value, or %s=value for one that begins with a dash", name, name, name)
	case takes && !inline:
		w.set(name, rest[0])
		return rest[1:]
	default:
		w.set(name, value)
	}
	return rest
}

func (w *words) set(name, value string) {
	if _, twice := w.values[name]; twice {
		w.addf("option %s is given twice: keep one", name)
		return
	}
	w.values[name] = value
}

// count reports whether the positional words can be judged: they are not lost,
// and neither fewer than least nor more than most, for which syntax is the mend.
func (w *words) count(least, most int, syntax string) bool {
	n := len(w.positional)
	switch {
	case w.lost:
		return false
	case n < least:
		w.addf("too few words (%d of at least %d): write pipework %s", n, least, syntax)
	case n > most:
		w.addf("too many words, the first too many is %q: write pipework %s", w.positional[most], syntax)
	}
	return least <= n && n <= most
}
