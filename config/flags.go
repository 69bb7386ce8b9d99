package config

import (
	"strings"
	"time"
)

// Flags are the words that are the command's own, not an attachment's.
type Flags struct {
	JSON    bool   // --json: print JSON
	Verbose bool   // -v: say what is done
	Help    bool   // --help, -h: print the usage
	Version bool   // --version: print the version
	Forward string // "on" (--forward), "off" (--no-forward), "" where neither was said
	// ResolvConf is the path after --resolv-conf=, where the name servers of a DHCP
	// lease are written, or put back; "" for none.
	ResolvConf string
	// WaitGuest is how long to wait for a guest that is not there yet
	// (--wait-guest); 0 does not wait.
	WaitGuest time.Duration
	// Probe is how long to look for other hosts that have an IPv4 address of the
	// interface (--probe); 0 does not wait for their answers.
	Probe time.Duration
	// Force has detach bring an interface home that nothing but its mark speaks for
	// (--force).
	Force bool
	// Spec is the file whose Spec is attached (--spec), in place of a line; "-" is
	// standard input, "" is none.
	Spec string
	// State is the directory where attachments are recorded (--state-dir); "" is the
	// default.
	State string
}

// Args returns the flags that belong to an attachment, as words for [Split].
func (f Flags) Args() []string {
	var args []string
	switch f.Forward {
	case "on":
		args = append(args, "--forward")
	case "off":
		args = append(args, "--no-forward")
	}
	if f.ResolvConf != "" {
		args = append(args, resolvConf+f.ResolvConf)
	}
	return args
}

// Split takes the command's own flags out of args wherever they stand before a
// --, and returns the other words, the -- with them, for [Parse], [ParseDetach]
// or a verb. What follows a verb for which [IsTool] holds is iproute2's. A flag may be
// repeated; --forward beside --no-forward is refused with an error that is [ErrUsage].
func Split(args []string) (Flags, []string, error) {
	var flags Flags
	var rest []string
	var p problems
	for len(args) > 0 {
		word := args[0]
		if word == "--" || len(rest) == 0 && IsTool(args) {
			rest = append(rest, args...)
			break
		}
		args = args[1:]
		name, value, inline := strings.Cut(word, "=")
		if set := flags.valued(name); set != nil {
			if !inline && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			set(value, &p)
			continue
		}
		before := flags.Forward
		if !flags.take(word) {
			rest = append(rest, word)
		}
		if before != "" && before != flags.Forward {
			p.addf("--forward and --no-forward contradict each other: keep one")
		}
		if path, ok := strings.CutPrefix(word, resolvConf); ok && !strings.HasPrefix(path, "/") {
			p.addf("%s needs a path that begins with /, not %q", resolvConf, path)
		}
	}
	if flags.Force && (len(rest) == 0 || rest[0] != "detach") {
		p.addf("--force belongs to detach: write pipework detach --force <guest>")
	}
	return flags, rest, p.err()
}

const resolvConf = "--resolv-conf="

// valued is how to set the flag called name, where that takes a value that may be
// the next word; nil: there is no such flag.
func (f *Flags) valued(name string) func(value string, p *problems) {
	switch name {
	case "--wait-guest":
		return func(value string, p *problems) { p.duration(&f.WaitGuest, name, value) }
	case "--probe":
		return func(value string, p *problems) { p.duration(&f.Probe, name, value) }
	case "--state-dir":
		return f.stateDir
	case "--spec":
		return f.spec
	}
	return nil
}

// most is the longest that a flag has somebody wait.
const most = 24 * time.Hour

func (p *problems) duration(to *time.Duration, name, value string) {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 || d > most {
		p.addf("%s %q is no time to wait: write one such as 10s or 2m", name, value)
	}
	*to = d
}

func (f *Flags) stateDir(dir string, p *problems) {
	switch {
	case dir == "" || isOption(dir):
		p.addf("option --state-dir has no value: write --state-dir /a/directory")
	case !printable(dir):
		p.addf("--state-dir %q %s", dir, unprintable)
	case f.State != "" && f.State != dir:
		p.addf("option --state-dir is given twice: keep one")
	}
	f.State = dir
}

func (f *Flags) spec(file string, p *problems) {
	switch {
	case file == "" || isOption(file):
		p.addf("option --spec has no value: write --spec FILE, or --spec - for standard input")
	case f.Spec != "":
		p.addf("option --spec is given twice: keep one")
	}
	f.Spec = file
}

// take sets the flag that word is, and reports whether it is one.
func (f *Flags) take(word string) bool {
	if path, ok := strings.CutPrefix(word, resolvConf); ok {
		f.ResolvConf = path
		return true
	}
	switch word {
	case "--json":
		f.JSON = true
	case "-v":
		f.Verbose = true
	case "--help", "-h":
		f.Help = true
	case "--version":
		f.Version = true
	case "--forward":
		f.Forward = "on"
	case "--no-forward":
		f.Forward = "off"
	case "--force":
		f.Force = true
	default:
		return false
	}
	return true
}

// ParseSpecGuest reads the words beside --spec FILE: the guest. Everything else is the
// Spec's to say. [errors.Is] tells its errors as [ErrUsage].
func ParseSpecGuest(f Flags, args []string) (guest string, err error) {
	w := scan(args, nil)
	if f.Forward != "" {
		w.addf("--forward and --no-forward are said in the spec: link: {bridge: {firewall: accept}}, or leave")
	}
	if f.ResolvConf != "" {
		w.addf("%s is said in the spec: dhcp: {resolv_conf: %s}", resolvConf, f.ResolvConf)
	}
	if w.count(1, 1, "--spec FILE <guest>") {
		guest = w.guest(w.positional[0])
	}
	if err := w.err(); err != nil {
		return "", err
	}
	return guest, nil
}

// ParseCheck reads the words after the verb check: any number of guests.
// [errors.Is] tells its errors as [ErrUsage].
func ParseCheck(args []string) (guests []string, err error) {
	w := scan(args, nil)
	for _, word := range w.positional {
		guests = append(guests, w.guest(word))
	}
	return guests, w.err()
}

// ParseCollect reads the words after the verb gc, of which there may be --dry-run.
// [errors.Is] tells its errors as [ErrUsage].
func ParseCollect(args []string) (dryRun bool, err error) {
	w := scan(args, map[string]bool{"--dry-run": false})
	w.count(0, 0, "gc [--dry-run]")
	_, dryRun = w.values["--dry-run"]
	return dryRun, w.err()
}

// A Detach is what the words after the verb detach say.
type Detach struct {
	Guest string
	Name  string // -i: the interface inside the guest; "" for the default
	All   bool   // --all: every interface
}

// ParseDetach reads the words after the verb detach. [errors.Is] tells its errors as
// [ErrUsage].
func ParseDetach(args []string) (d Detach, err error) {
	w := scan(args, map[string]bool{"-i": true, "--all": false, "--force": false})
	if w.count(1, 1, "detach <guest> [-i containerinterface | --all] [--force]") {
		d.Guest, d.Name = w.guest(w.positional[0]), w.name("-i")
	}
	_, d.All = w.values["--all"]
	if _, named := w.values["-i"]; named && d.All {
		w.addf("-i and --all contradict each other: keep one")
	}
	if err := w.err(); err != nil {
		return Detach{}, err
	}
	return d, nil
}
