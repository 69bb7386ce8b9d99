package config

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Who asks for an attachment.
type Who struct {
	Kind   ns.Kind // of the guest
	Name   string  // of the guest
	Image  string  // that the container was made of, as that was written
	User   string  // whose engine it is; "" is root's
	Labels map[string]string
}

// A Policy says what may be asked for by others than root's command lines: by labels and
// variables of containers. The first rule that is about who asks decides; where none is,
// nothing may be asked for. A nil Policy permits everything. See docs/policy.md.
type Policy struct {
	file  string
	rules []rule
}

// A rule is one of a Policy. What it does not say, it does not limit.
type rule struct {
	line int // of the file
	who  who

	interfaces patterns // of the host
	links      patterns // kinds of link
	vlans      []vlanRange
	addresses  []netip.Prefix
	macs       []macRange
	options    patterns
	limits     map[string]bool // which of these the rule says, be they empty

	pin, isolated bool
}

type who struct {
	label, image, name, user patterns // of label, as key=value
	kind                     patterns
}

// patterns are as of path.Match; a * stands for a / too.
type patterns []string

func (ps patterns) match(text string) bool {
	plain := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	return slices.ContainsFunc(ps, func(p string) bool {
		ok, err := path.Match(plain(p), plain(text))
		return ok && err == nil
	})
}

func (ps patterns) String() string {
	if len(ps) == 0 {
		return "none"
	}
	return strings.Join(ps, ", ")
}

type vlanRange struct{ first, last int }

// A macRange is the addresses whose first bits are these.
type macRange struct {
	mac  net.HardwareAddr
	bits int
}

func (r macRange) contains(mac net.HardwareAddr) bool {
	for i := range r.bits {
		if mask := byte(0x80) >> (i % 8); (r.mac[i/8]^mac[i/8])&mask != 0 {
			return false
		}
	}
	return true
}

// is says whether the rule is about who asks: each key that it has is.
func (r who) is(w Who) bool {
	for _, text := range r.label {
		key, value, _ := strings.Cut(text, "=")
		if has, is := w.Labels[key]; !is || !(patterns{value}).match(has) {
			return false
		}
	}
	for _, one := range []struct {
		asked patterns
		text  string
	}{{r.image, w.Image}, {r.name, w.Name}, {r.user, w.User}, {r.kind, string(w.Kind)}} {
		if one.asked != nil && !one.asked.match(one.text) {
			return false
		}
	}
	return true
}

// Permit is the Spec as who may have it, pinned and isolated where a rule says so; by is the
// file and line of that rule. typed is the host interface as the asker calls it: it counts
// only where the link has none, such as a dummy. What may not be asked for is an error that satisfies
// fs.ErrPermission, of one line.
func (p *Policy) Permit(w Who, s pipework.Spec, typed string) (out pipework.Spec, by string, err error) {
	if p == nil {
		return s, "", nil
	}
	i := slices.IndexFunc(p.rules, func(r rule) bool { return r.who.is(w) })
	if i < 0 {
		return s, p.file, errs.New(fs.ErrPermission, "no rule of %s is about %s: nothing may be asked for", p.file, w.Name)
	}
	by = fmt.Sprintf("%s:%d", p.file, p.rules[i].line)
	s, wrong := p.rules[i].apply(s, typed)
	if len(wrong) > 0 {
		return s, by, errs.New(fs.ErrPermission, "%s (%s)", strings.Join(wrong, "; "), by)
	}
	return s, by, nil
}

// apply says all that is not permitted of the Spec, and pins and isolates it.
func (r rule) apply(s pipework.Spec, typed string) (_ pipework.Spec, wrong []string) {
	kind, options, err := askedOf(s)
	if err != nil {
		return s, []string{err.Error()}
	}
	no := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if r.limits["links"] && !r.links.match(kind) {
		no("a link of the kind %s may not be asked for: %s may", kind, r.links)
	}
	if name := hostInterface(s.Link, typed); r.limits["interfaces"] && !r.interfaces.match(name) {
		no("the host's interface %s may not be asked for: %s may", name, r.interfaces)
	}
	for _, v := range r.otherVLANs(s.Link) {
		no("%s may not be asked for", v)
	}
	if i, is := s.Link.(link.IPoIB); is && i.PKey != 0 && r.limits["vlans"] && !r.limits["options"] {
		no("the partition %04x may not be asked for: a rule with vlans and without options permits none", i.PKey)
	}
	for _, a := range s.Addrs {
		within := func(p netip.Prefix) bool { return p.Contains(a.Addr()) }
		if r.limits["addresses"] && !slices.ContainsFunc(r.addresses, within) {
			no("the address %s may not be asked for", a)
		}
	}
	for _, mac := range []net.HardwareAddr{s.MAC, s.DefaultMAC} {
		within := func(m macRange) bool { return m.contains(mac) }
		if mac != nil && r.limits["macs"] && !slices.ContainsFunc(r.macs, within) {
			no("the MAC %s may not be asked for", mac)
		}
	}
	for _, o := range options {
		if r.limits["options"] && !r.options.match(o) {
			no("%s may not be asked for: of options %s may", o, r.options)
		}
	}
	s = r.force(s, no)
	return s, wrong
}

// otherVLANs are those of the link that are not permitted, for people.
func (r rule) otherVLANs(b link.Backend) (list []string) {
	in, has := b.(link.InVLANs)
	if !has || !r.limits["vlans"] {
		return nil
	}
	vlans := in.VLANs()
	if vlans == nil {
		return []string{"a port in all VLANs"}
	}
	for _, v := range vlans {
		switch {
		case slices.ContainsFunc(r.vlans, func(one vlanRange) bool { return one.first <= v && v <= one.last }):
		case v == 0:
			list = append(list, "an interface without a VLAN")
		default:
			list = append(list, "VLAN "+strconv.Itoa(v))
		}
	}
	return list
}

// force pins and isolates.
func (r rule) force(s pipework.Spec, no func(string, ...any)) pipework.Spec {
	if r.pin {
		s.Pin = true
		p, can := s.Link.(link.Pinner)
		if can {
			_, err := p.PinnedTags()
			can = err == nil
		}
		if !can {
			no("what is asked for has to be pinned, which %s cannot be", s.Link)
		}
	}
	if r.isolated {
		i, can := s.Link.(link.Isolator)
		if !can {
			no("what is asked for has to be isolated, which %s cannot be", s.Link)
			return s
		}
		s.Link = i.Isolate()
	}
	return s
}

// unlimited are the keys of a Spec and of links that are no options of a rule: others of its
// keys are about them, or they are what everybody may ask for.
var unlimited = []string{"link", "name", "addrs", "mac", "default_mac", "pin", "parent", "device", "vlan", "tag", "trunks", "isolated"}

// askedOf is the kind of the Spec's link, and the keys of both that have a value, but those
// that are no options.
func askedOf(s pipework.Spec) (kind string, options []string, err error) {
	var all struct {
		Link map[string]map[string]json.RawMessage `json:"link"`
	}
	var top map[string]json.RawMessage
	text, err := json.Marshal(s)
	if err == nil {
		err = errs.Join(json.Unmarshal(text, &all), json.Unmarshal(text, &top))
	}
	if err != nil {
		return "", nil, err
	}
	options = slices.Collect(maps.Keys(top))
	for name, keys := range all.Link {
		kind = name
		options = slices.AppendSeq(options, maps.Keys(keys))
	}
	options = slices.DeleteFunc(options, func(o string) bool { return slices.Contains(unlimited, o) })
	slices.Sort(options)
	return kind, options, nil
}

// Permit is the Spec of a container's declaration as the container may have it, by --allow
// and the Policy, and the rule that says so; see [Allow.Check] and [Policy.Permit].
func (d Declarations) Permit(w Who, s pipework.Spec, typed string) (out pipework.Spec, by string, err error) {
	if err := d.Allow.Check(s.Link, typed); err != nil {
		return s, "--allow", err
	}
	return d.Policy.Permit(w, s, typed)
}

// Who is the container of a source of this kind, with those of its labels that count.
func (d Declarations) Who(kind ns.Kind, c *ns.Container) Who {
	return Who{Kind: kind, Name: c.Name, Image: c.Image, User: c.User, Labels: d.labels(c)}
}
