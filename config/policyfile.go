package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	yamlparser "github.com/goccy/go-yaml/parser"
)

// DefaultPolicy is the file of the host's policy, where there is one.
const DefaultPolicy = "/etc/pipework/policy.yaml"

// ParsePolicy reads a policy, of at most [SpecMax] bytes. What is wrong is told with the
// file's name, the line and the word.
func ParsePolicy(file string, text []byte) (*Policy, error) {
	r := &policyReader{policy: Policy{file: file}}
	if err := r.read(text); err != nil {
		return nil, err
	}
	return &r.policy, nil
}

// A policyReader reads a policy's nodes.
type policyReader struct{ policy Policy }

func (r *policyReader) read(text []byte) error {
	file := r.policy.file
	switch {
	case len(text) > SpecMax:
		return fmt.Errorf("%s: %d bytes are more than %d", file, len(text), SpecMax)
	case nesting(string(text)) > nestingMax:
		return fmt.Errorf("%s: more than %d brackets or dashes within one another", file, nestingMax)
	}
	parsed, err := yamlparser.ParseBytes(text, 0)
	if err != nil {
		return fmt.Errorf("%s: %s", file, yamlError(err))
	}
	if len(parsed.Docs) != 1 || parsed.Docs[0].Body == nil {
		return fmt.Errorf("%s: one document is needed, such as rules: [{interfaces: [br*]}]", file)
	}
	var rules bool
	err = r.mapping(parsed.Docs[0].Body, map[string]func(ast.Node) error{"rules": func(n ast.Node) error {
		rules = true
		return r.each(n, r.rule)
	}})
	if err == nil && !rules {
		return fmt.Errorf("%s: it has no rules: write such as rules: [{interfaces: [br*]}]", file)
	}
	return err
}

// wrong is an error about a node.
func (r *policyReader) wrong(n ast.Node, format string, args ...any) error {
	line := 0
	if n != nil && n.GetToken() != nil {
		line = n.GetToken().Position.Line
	}
	return fmt.Errorf("%s:%d: %w", r.policy.file, line, fmt.Errorf(format, args...))
}

// mapping reads the keys of a node.
func (r *policyReader) mapping(n ast.Node, keys map[string]func(ast.Node) error) error {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return r.wrong(n, "keys are needed here: %s", namesOf(keys))
	}
	for _, v := range values {
		name, ok := scalar(v.Key)
		read := keys[name]
		if !ok || read == nil {
			return r.wrong(v.Key, "unknown key %q: there are %s", v.Key.String(), namesOf(keys))
		}
		if err := read(v.Value); err != nil {
			return err
		}
	}
	return nil
}

func namesOf(keys map[string]func(ast.Node) error) string {
	return strings.Join(slices.Sorted(maps.Keys(keys)), ", ")
}

// each reads the elements of a list, or what stands in the place of one.
func (r *policyReader) each(n ast.Node, read func(ast.Node) error) error {
	list, is := n.(*ast.SequenceNode)
	if !is {
		return read(n)
	}
	for _, v := range list.Values {
		if err := read(v); err != nil {
			return err
		}
	}
	return nil
}

// scalar is the text of a node that is one word.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// words reads words into a function.
func (r *policyReader) words(read func(string) error) func(ast.Node) error {
	return func(n ast.Node) error {
		return r.each(n, func(n ast.Node) error {
			text, ok := scalar(n)
			if !ok {
				return r.wrong(n, "%q is no word: write such as [a, b]", n.String())
			}
			if err := read(text); err != nil {
				return r.wrong(n, "%q %w", text, err)
			}
			return nil
		})
	}
}

// patterns reads patterns of the words that are given, or without any of whatever there is.
func (r *policyReader) patterns(to *patterns, of ...vocabulary) func(ast.Node) error {
	read := r.words(func(text string) error {
		*to = append(*to, text)
		if _, err := path.Match(text, ""); err != nil || text == "" || !printable(text) {
			return errors.New("is no pattern: write such as br*")
		}
		for _, v := range of {
			if err := v.known(text); err != nil {
				return err
			}
		}
		return nil
	})
	return func(n ast.Node) error {
		*to = patterns{}
		return read(n)
	}
}

func (r *policyReader) yes(to *bool) func(ast.Node) error {
	return func(n ast.Node) error {
		text, ok := scalar(n)
		if *to = text == "true"; !ok || text != "true" && text != "false" {
			return r.wrong(n, "%q is neither true nor false", n.String())
		}
		return nil
	}
}

// some refuses an empty list: of whom a rule is about, it would be nobody, or everybody.
func (r *policyReader) some(read func(ast.Node) error) func(ast.Node) error {
	return func(n ast.Node) error {
		empty := true
		err := r.each(n, func(ast.Node) error { empty = false; return nil })
		if err == nil && empty {
			return r.wrong(n, "an empty list is about nobody: leave it out for everybody")
		}
		return read(n)
	}
}

func (r *policyReader) rule(n ast.Node) error {
	one := rule{limits: map[string]bool{}}
	if n.GetToken() != nil {
		one.line = n.GetToken().Position.Line
	}
	limit := func(key string, read func(ast.Node) error) func(ast.Node) error {
		return func(n ast.Node) error {
			one.limits[key] = true
			return read(n)
		}
	}
	err := r.mapping(n, map[string]func(ast.Node) error{
		"who":        func(n ast.Node) error { return r.who(n, &one.who) },
		"interfaces": limit("interfaces", r.patterns(&one.interfaces)),
		"links":      limit("links", r.patterns(&one.links, linkWords)),
		"options":    limit("options", r.patterns(&one.options, optionWords)),
		"vlans":      limit("vlans", r.words(func(text string) error { return one.vlan(text) })),
		"addresses":  limit("addresses", r.words(func(text string) error { return one.address(text) })),
		"macs":       limit("macs", r.words(func(text string) error { return one.mac(text) })),
		"pin":        r.yes(&one.pin),
		"isolated":   r.yes(&one.isolated),
	})
	r.policy.rules = append(r.policy.rules, one)
	return err
}

func (r *policyReader) who(n ast.Node, to *who) error {
	return r.mapping(n, map[string]func(ast.Node) error{
		"image": r.some(r.patterns(&to.image)), "name": r.some(r.patterns(&to.name)), "user": r.some(r.patterns(&to.user)), "kind": r.some(r.patterns(&to.kind, kindWords)),
		"label": r.some(r.words(func(text string) error {
			key, value, has := strings.Cut(text, "=")
			to.label = append(to.label, text)
			if _, err := path.Match(value, ""); err != nil || !has || key == "" || !printable(text) {
				return errors.New("is no label: write key=value")
			}
			return nil
		})),
	})
}

// vlan reads 10, 10-20, or 0, which is no VLAN.
func (r *rule) vlan(text string) error {
	from, to, isRange := strings.Cut(text, "-")
	first, err := strconv.Atoi(from)
	last := first
	if err == nil && isRange {
		last, err = strconv.Atoi(to)
	}
	if err != nil || first < 0 || last < first || last > 4094 {
		return errors.New("is no VLAN: write such as 10 or 20-30, and 0 for none")
	}
	r.vlans = append(r.vlans, vlanRange{first, last})
	return nil
}

func (r *rule) address(text string) error {
	p, err := netip.ParsePrefix(text)
	if a, alone := netip.ParseAddr(text); alone == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil || p.Addr().Is4In6() {
		return errors.New("is no range of addresses: write such as 10.0.0.0/24")
	}
	if p != p.Masked() {
		return fmt.Errorf("has host bits: write %s, or %s", p.Masked(), p.Addr())
	}
	r.addresses = append(r.addresses, p)
	return nil
}

func (r *rule) mac(text string) error {
	word, length, isRange := strings.Cut(text, "/")
	mac, err := net.ParseMAC(word)
	bits := 48
	if err == nil && isRange {
		bits, err = strconv.Atoi(length)
	}
	if err != nil || len(mac) != 6 || bits < 0 || bits > 48 {
		return errors.New("is no range of MACs: write such as 02:42:00:00:00:00/24")
	}
	r.macs = append(r.macs, macRange{slices.Clone(mac), bits})
	return nil
}
