package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-pipework/pipework/internal/option"
)

// kinds say outright what a host interface is, before its name: link.Detect.
var kinds = []string{
	"bridge", "macvlan", "macvlan/private", "macvlan/vepa", "macvlan/passthru", "ipvlan", "ipvlan/l3", "ipvlan/l3s",
	"vlan", "veth", "phys", "ovs",
}

// hostInterface reads the first word, an interface's name, mac:<address>, or a name
// after its kind.
func (p *parser) hostInterface(word string) {
	p.line.Interface = word
	address, byMAC := strings.CutPrefix(word, "mac:")
	if !byMAC {
		p.spelledOut(word)
		return
	}
	if _, err := parseMAC(address); err != nil {
		p.add(fmt.Errorf("host interface %q: %w", word, err))
	}
}

// spelledOut reads a name, perhaps after its kind.
func (p *parser) spelledOut(word string) {
	if kind, name, is := strings.Cut(word, ":"); is && slices.Contains(kinds, strings.Replace(kind, "-", "/", 1)) {
		word = name
		if p.line.DirectPhys {
			p.addf("--direct-phys moves %s itself: write it without %s:", word, kind)
		}
		if i := strings.LastIndexByte(name, '/'); kind == "veth" && i >= 0 {
			p.guest(name[:i])
			word = name[i+1:]
		}
	}
	if kind, name, is := strings.Cut(word, ":"); is {
		p.unknownKind(kind, name)
		return
	}
	p.add(checkName("host interface", word))
}

// unknownKind says which kind was meant, or which there are.
func (p *parser) unknownKind(kind, name string) {
	if meant := option.Nearest(kind, kinds); meant != "" {
		p.addf("host interface %q: there is no kind %q: did you mean %s:%s?", kind+":"+name, kind, meant, name)
		return
	}
	p.addf("host interface %q: there is no kind %q: there are %s, and mac:<address>", kind+":"+name, kind, strings.Join(kinds, ", "))
}

// guest allows any printable word: a name, an ID, a path, netns:blue.
func (p *problems) guest(word string) string {
	switch {
	case word == "":
		p.addf("the guest is empty: name a container, or check that the variable it came from is set")
	case !printable(word):
		p.addf("the guest %q %s", word, unprintable)
	}
	return word
}

// checkName refuses what the kernel refuses as an interface's name
// (dev_valid_name in net/core/dev.c), what it would rewrite, and what would
// garble a terminal. The role tells where the name came from.
func checkName(role, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s is an empty name: write one such as eth1", role)
	case len(name) > 15: // IFNAMSIZ is 16 with the terminating zero
		return fmt.Errorf("%s %q has %d bytes: write an interface's name of at most 15", role, name, len(name))
	case name == "." || name == "..":
		return fmt.Errorf("%s %q names a folder, not an interface: write one such as eth1", role, name)
	case strings.Contains(name, "%"):
		return fmt.Errorf("%s %q holds a %%, which the kernel would replace by a number: write the number", role, name)
	case strings.ContainsAny(name, "/: ") || !printable(name):
		return fmt.Errorf("%s %q holds a '/', ':', white space or unprintable character: leave it out, an interface's name has none", role, name)
	case strings.IndexByte(name, 0xa0) >= 0: // isspace in lib/ctype.c, even inside a UTF-8 letter
		return fmt.Errorf("%s %q holds the byte 0xa0, white space to the kernel: write plain ASCII letters", role, name)
	}
	return nil
}

// unprintable is what errors say of a word that is not printable.
const unprintable = "holds control characters or broken UTF-8: write printable characters only"

// printable reports whether text is whole UTF-8 that a terminal can show on one
// line.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
