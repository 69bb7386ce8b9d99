package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/ns"
)

// A reader reads what one container declares.
type reader struct {
	container *ns.Container
	labels    map[string]string
	env       [][2]string
	found     []Declaration
}

func (r *reader) value(name string) string {
	for _, v := range r.env {
		if v[0] == name {
			return v[1]
		}
	}
	return ""
}

func (r *reader) readLabels() {
	var names []string
	for name := range r.labels {
		if strings.HasPrefix(name, labelPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		r.add("label "+name, func() (Line, error) { return r.label(strings.TrimPrefix(name, labelPrefix), r.labels[name]) })
	}
}

func (r *reader) readEnv() {
	for _, v := range r.env {
		switch {
		case strings.Contains(v[0], cmdName):
			r.add("variable "+v[0], func() (Line, error) { return r.command(v[1]) })
		case strings.Contains(v[0], routeName) && v[1] != "":
			r.add("variable "+v[0], func() (Line, error) {
				return Line{}, errors.New("the host is given no interface beside the container's: leave it out")
			})
		}
	}
}

// add reads one declaration, unless there are too many.
func (r *reader) add(from string, read func() (Line, error)) {
	if !printable(from) {
		from = fmt.Sprintf("%q", from)
	}
	if len(r.found) >= maxDeclarations {
		return
	}
	one := Declaration{From: from}
	if one.Line, one.Err = read(); len(r.found) == maxDeclarations-1 {
		one.Line, one.Err = Line{}, fmt.Errorf("the container declares more than %d interfaces: it and what follows is left out", maxDeclarations-1)
	}
	r.found = append(r.found, one)
}

// label reads a label's value: a command line without a guest.
func (r *reader) label(name, value string) (Line, error) {
	if err := checkName("the interface in the label's name", name); err != nil {
		return Line{}, err
	}
	words, err := r.words(value)
	if err != nil {
		return Line{}, err
	}
	line, words, err := takeOptions(words, nil)
	if err != nil {
		return Line{}, err
	}
	var p problems
	if !p.count(words, 2, 3, "<hostinterface> <address>/<prefix>[@gateway] [macaddr][@vlan], without the guest") {
		return Line{}, p.err()
	}
	line, err = line.Read(slices.Insert(slices.Clone(words), 1, r.container.Name))
	if err == nil && line.Name != "" && line.Name != name {
		err = fmt.Errorf("-i %s contradicts the label's name, which says %s: leave it out", line.Name, name)
	}
	line.Name = name
	return line, err
}

// command reads a variable's value: a whole command line.
func (r *reader) command(value string) (Line, error) {
	words, err := r.words(value)
	if err != nil {
		return Line{}, err
	}
	if len(words) > 0 && words[0] == "pipework" {
		words = words[1:]
	}
	if i := slices.Index(words, "--wait"); i >= 0 || len(words) > 0 && slices.Contains([]string{"route", "rule", "tc"}, words[0]) {
		return Line{}, fmt.Errorf("%q plugs nothing in: only lines that do are understood here", words[max(i, 0)])
	}
	line, words, err := takeOptions(words, nil)
	if err == nil {
		line, err = line.Read(words)
	}
	if err != nil {
		return Line{}, err
	}
	if !r.itself(line.Guest) {
		return Line{}, fmt.Errorf("it names the guest %q: a container can speak for itself only: write @CONTAINER_NAME@", line.Guest)
	}
	line.Guest = r.container.Name
	if line.Name == "" {
		line.Name = defaultName(line)
	}
	return line, nil
}

// itself reports whether word is the container's name, ID, or the twelve
// characters and more that its ID begins with.
func (r *reader) itself(word string) bool {
	return word == r.container.Name || len(word) >= 12 && strings.HasPrefix(r.container.ID, word)
}

// defaultName is the interface that a line without -i means.
func defaultName(l Line) string {
	if strings.HasPrefix(l.Interface, "ib") {
		return "ib0"
	}
	return "eth1"
}

// words takes a value apart and then replaces macros, so that what they stand for
// can never become another word.
func (r *reader) words(value string) ([]string, error) {
	if len(value) > maxDeclaration {
		return nil, fmt.Errorf("it has %d bytes: %d are the most", len(value), maxDeclaration)
	}
	words, err := split(value)
	if err != nil {
		return nil, err
	}
	macros := r.macros()
	for i, word := range words {
		words[i] = macros.Replace(word)
		if isOption(words[i]) && !isOption(word) {
			return nil, fmt.Errorf("%s stands for %q, which would be an option", word, words[i])
		}
	}
	return words, nil
}

// macros replaces each once: what they stand for is not read again.
func (r *reader) macros() *strings.Replacer {
	return strings.NewReplacer(
		"@CONTAINER_NAME@", r.container.Name,
		"@CONTAINER_ID@", r.container.ID[:min(len(r.container.ID), 12)],
		"@HOSTNAME@", r.container.Hostname,
		"@INSTANCE@", lastNumber(r.container.Name),
		"@COMPOSE_PROJECT_NAME@", r.labels["com.docker.compose.project"],
	)
}

// lastNumber is the last run of digits in a name.
func lastNumber(name string) string {
	end := strings.LastIndexAny(name, "0123456789") + 1
	begin := end
	for begin > 0 && '0' <= name[begin-1] && name[begin-1] <= '9' {
		begin--
	}
	return name[begin:end]
}

// evaluate says why the declaration at i is not honoured, where it was understood.
func (r *reader) evaluate(i int, d Declarations) {
	one := &r.found[i]
	if one.Err == nil && !r.container.ImageKnown && !d.TrustImages {
		one.Err = errors.New("the container's image is gone, so that nobody can tell whether this is the image's: pull it again, or give --trust-images")
	}
	if one.Err == nil {
		asked, err := one.Line.DHCPConfig()
		if one.Err = err; asked.Program != "" {
			one.Err = fmt.Errorf("a container may not choose a program that runs on the host (%s): write dhcp", asked.Program)
		}
	}
	if end, is := strings.CutPrefix(one.Line.Interface, "veth:"); is && one.Err == nil && strings.Contains(end, "/") {
		one.Err = fmt.Errorf("a container may not give another guest an interface (%s): type that line on the host", one.Line.Interface)
	} else if is && one.Err == nil {
		one.Err = fmt.Errorf("a container may not give the host an interface with addresses (%s): type that line on the host", one.Line.Interface)
	}
	if one.Err == nil && !d.mayName(one.Line.HostName) {
		one.Err = fmt.Errorf("a container may not call the host's end %s: write -l %s…, leave -l out, or permit the name by --allow", one.Line.HostName, hostEndPrefix)
	}
	for _, other := range r.found[:i] {
		if one.Err == nil && other.Err == nil && other.Line.Name == one.Line.Name {
			one.Err = fmt.Errorf("%s says already what %s is: name another interface", other.From, one.Line.Name)
		}
	}
}

// hostEndPrefix begins the names that containers may give the host's ends of their pairs. No
// NIC is called so: what on the host goes by names, such as its configuration and its
// firewall, takes none of them for a link of its own.
const hostEndPrefix = "pw-"

// mayName says whether a container may give the host's end this name; "" is none.
func (d Declarations) mayName(end string) bool {
	return end == "" || strings.HasPrefix(end, hostEndPrefix) || patterns(d.Allow).match(end)
}
