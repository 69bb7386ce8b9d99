package option

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Wrong is an error of fs.Parse in our words: the option as typed, and the way out.
// errors.Is finds [ErrUsage] in it.
func Wrong(fs *pflag.FlagSet, err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return Usage(unknown(fs, typed(e.GetSpecifiedName(), e.GetSpecifiedShortnames())))
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		name := typed(e.GetSpecifiedName(), e.GetSpecifiedShortnames())
		return Usage(fmt.Errorf("option %s has no value: write %s %s", name, name, e.GetFlag().Value.Type()))
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		f := e.GetFlag()
		name := spelled(f.Name, f.Shorthand)
		if f.Value.Type() == "bool" && (errors.Is(err, errValue) || !isOption(f)) {
			return Usage(fmt.Errorf("option %s takes no value: write %s alone, not %q", name, name, name+"="+e.GetValue()))
		}
		if isOption(f) {
			return Usage(e.Unwrap()) // which names the option
		}
		return Usage(fmt.Errorf("option %s: %q is no %s", name, e.GetValue(), f.Value.Type()))
	}
	if e, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return Usage(fmt.Errorf("%q is no option", e.GetSpecifiedFlag()))
	}
	return Usage(errors.New("--help stands alone here")) // pflag.ErrHelp
}

func isOption(f *pflag.Flag) bool {
	_, is := f.Value.(*option)
	return is
}

// typed is the option as it stood on the command line.
func typed(name, shorts string) string {
	if shorts != "" {
		return "-" + name
	}
	return "--" + name
}

// unknown names the option that was meant, or all that there are.
func unknown(fs *pflag.FlagSet, word string) error {
	var all, long []string
	fs.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			all, long = append(all, spelled(f.Name, f.Shorthand)), append(long, "--"+f.Name)
		}
	})
	if meant := Nearest(word, long); meant != "" {
		return fmt.Errorf("unknown option %q: did you mean %s?", word, meant)
	}
	slices.Sort(all)
	return fmt.Errorf("unknown option %q: the options are %s", word, strings.Join(all, ", "))
}

// Nearest is the one of the names that was meant by a word with a slip or two in it, or
// that begins with the word; "": none.
func Nearest(word string, names []string) (meant string) {
	nearest := min(3, len(word)-1)
	for _, name := range names {
		if d := distance(word, name); d < nearest {
			meant, nearest = name, d
		}
	}
	if i := slices.IndexFunc(names, func(name string) bool { return strings.HasPrefix(name, word) }); meant == "" && len(word) > 3 && i >= 0 {
		return names[i]
	}
	return meant
}

// distance is how many bytes to insert, delete or replace to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			left, row[j+1] = row[j+1], min(left+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
