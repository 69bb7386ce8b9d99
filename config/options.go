package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework/internal/option"
	"github.com/go-pipework/pipework/link"
)

var errForward = errors.New("--forward and --no-forward contradict each other: keep one")

// Name returns what reads an interface's name into to, for an option's value.
func Name(spelled string, to *string) func(string) error {
	return func(name string) error {
		*to = name
		return checkName(spelled, name)
	}
}

// Empty refuses options beside a Spec in a file, which says all of it.
func (l Line) Empty() error {
	words := l.optionWords()
	switch {
	case l.Firewall != link.FirewallOwn:
		return option.Usage(errors.New("--forward and --no-forward are said in the spec: link: {bridge: {firewall: accept}}, or leave"))
	case l.ResolvConf != "":
		return option.Usage(fmt.Errorf("--resolv-conf is said in the spec: dhcp: {resolv_conf: %s}", l.ResolvConf))
	case l.DirectPhys:
		return option.Usage(errors.New("--direct-phys is said in the spec: link: {phys: {device: eth3}}"))
	case len(words) > 0:
		return option.Usage(fmt.Errorf("%s is said in the spec: see docs/spec.md", words[0]))
	}
	return nil
}

// Path returns what reads a path of the host into to, for an option's value.
func Path(spelled string, to *string) func(string) error {
	return func(path string) error {
		*to = path
		switch {
		case !strings.HasPrefix(path, "/"):
			return fmt.Errorf("%s needs a path that begins with /, not %q", spelled, path)
		case !printable(path):
			return fmt.Errorf("%s %q %s", spelled, path, unprintable)
		}
		return nil
	}
}

func (l *Line) mtu(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 68 || n > 65535 {
		return fmt.Errorf("--mtu %q is no number from 68 to 65535", text)
	}
	l.MTU = n
	return nil
}

// trunk reads VLANs with commas, and a dash from one to another: 10,20-30.
func (l *Line) trunk(text string) error {
	for piece := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(piece, "-")
		first, err := strconv.Atoi(from)
		last := first
		if err == nil && isRange {
			last, err = strconv.Atoi(to)
		}
		if err != nil || first < 1 || last > 4094 || last < first {
			return fmt.Errorf("--trunk %q: %q is no VLAN from 1 to 4094: write such as 10,20-30", text, piece)
		}
		for v := first; v <= last; v++ {
			l.Trunks = append(l.Trunks, v)
		}
	}
	return nil
}

// keyed reads key=value pieces with commas between them.
func keyed(option, text string, keys map[string]func(string) error) error {
	given := map[string]bool{}
	for piece := range strings.SplitSeq(text, ",") {
		key, value, has := strings.Cut(piece, "=")
		read := keys[key]
		switch {
		case read == nil || !has || value == "":
			return fmt.Errorf("%s %q: %q is none of %s", option, text, piece, wordsOf(keys))
		case given[key]:
			return fmt.Errorf("%s %q: %s is given twice: keep one", option, text, key)
		}
		given[key] = true
		if err := read(value); err != nil {
			return fmt.Errorf("%s %q: %s %q %w", option, text, key, value, err)
		}
	}
	return nil
}

// optionWords are the words of the options, but for --direct-phys.
func (l Line) optionWords() []string {
	var words []string
	words = appendOption(words, "-i", l.Name)
	words = appendOption(words, "-l", l.HostName)
	if l.Family != 0 {
		words = append(words, "-a", strconv.Itoa(int(l.Family)))
	}
	if l.MTU != 0 {
		words = append(words, "--mtu", strconv.Itoa(l.MTU))
	}
	for _, r := range l.Routes {
		words = append(words, "--route", routeText(r))
	}
	for _, r := range l.Rules {
		words = append(words, "--rule", ruleText(r))
	}
	words = appendOption(words, "--egress", shapingText(l.Egress))
	words = appendOption(words, "--ingress", shapingText(l.Ingress))
	words = appendOption(words, "--trunk", trunkText(l.Trunks))
	for _, one := range []struct {
		option string
		given  bool
	}{
		{"--isolated", l.Isolated},
		{"--hairpin", l.Hairpin},
		{"--pin", l.Pin},
		{"--forward", l.Firewall == link.FirewallAccept},
		{"--no-forward", l.Firewall == link.FirewallLeave},
	} {
		if one.given {
			words = append(words, one.option)
		}
	}
	return appendOption(words, "--resolv-conf", l.ResolvConf)
}

func appendOption(words []string, option, value string) []string {
	switch {
	case value == "":
		return words
	case isOption(value):
		return append(words, option+"="+value)
	default:
		return append(words, option, value)
	}
}

func trunkText(vlans []int) string {
	texts := make([]string, len(vlans))
	for i, v := range vlans {
		texts[i] = strconv.Itoa(v)
	}
	return strings.Join(texts, ",")
}
