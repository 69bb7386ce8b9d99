// Package option is the options of a command line: what each takes, and what is said
// where one is wrong.
package option

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
)

// ErrUsage is what errors.Is finds in an error about the words that were typed. It is
// never part of a message.
var ErrUsage = errors.New("wrong usage")

// Usage has ErrUsage be found in err; of nil it is nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usage{err}
}

type usage struct{ error }

func (usage) Is(target error) bool { return target == ErrUsage }
func (u usage) Unwrap() error      { return u.error }

// Add adds an option whose value set reads; set's errors name the option. Help calls the
// value by the word value. Given twice it is an error.
func Add(fs *pflag.FlagSet, name, short, value, help string, set func(string) error) {
	fs.VarP(&option{spelled: spelled(name, short), value: value, set: set}, name, short, help)
}

// List is as Add, for an option that may be given several times.
func List(fs *pflag.FlagSet, name, value, help string, set func(string) error) {
	fs.Var(&option{spelled: "--" + name, value: value, set: set, list: true}, name, help)
}

// Repeat has every option of fs be taken as often as it is given, for who reads the same
// words several times.
func Repeat(fs *pflag.FlagSet) {
	fs.VisitAll(func(f *pflag.Flag) {
		if o, is := f.Value.(*option); is {
			o.list = true
		}
	})
}

// Bool is as Switch, and sets to.
func Bool(fs *pflag.FlagSet, to *bool, name, help string) {
	Switch(fs, name, "", help, func() error { *to = true; return nil })
}

// Switch adds an option that takes no value.
func Switch(fs *pflag.FlagSet, name, short, help string, set func() error) {
	fs.VarP(&option{value: "bool", list: true, set: func(text string) error {
		if text != "true" {
			return errValue
		}
		return set()
	}}, name, short, help)
	fs.Lookup(name).NoOptDefVal = "true"
}

var errValue = errors.New("takes no value")

// spelled is the option as it is documented, by its letter where it has one.
func spelled(name, short string) string {
	if short != "" {
		return "-" + short
	}
	return "--" + name
}

// An option is a pflag.Value.
type option struct {
	spelled, value, text string
	set                  func(string) error
	list, given          bool
}

var _ pflag.Value = (*option)(nil)

func (o *option) String() string {
	if o.value == "bool" && o.text == "" {
		return "false" // what pflag leaves out of its help
	}
	return o.text
}

func (o *option) Type() string { return o.value }

// Set reads the value.
func (o *option) Set(text string) error {
	if o.given && !o.list {
		return fmt.Errorf("option %s is given twice: keep one", o.spelled)
	}
	if text == "=" || len(text) > 1 && text[0] == '-' { // -i= is read as the value =
		return fmt.Errorf("option %s has no value: write %s %s", o.spelled, o.spelled, o.value)
	}
	o.given, o.text = true, text
	return o.set(text)
}
