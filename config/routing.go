package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework/link"
)

var (
	errAddr   = errors.New("is no address, such as 10.0.0.1")
	errPrefix = errors.New("is no subnet, such as 10.8.0.0/16")
	errNumber = errors.New("is no number")
)

// route reads --route: dst[@via][,src=A][,metric=N][,table=N].
func (l *Line) route(text string) error {
	where, more, has := strings.Cut(text, ",")
	dst, via, through := strings.Cut(where, "@")
	var r link.Route
	if err := subnet(&r.Dst)(dst); err != nil {
		return fmt.Errorf("--route %q: %q %w", text, dst, err)
	}
	if through {
		if err := addr(&r.Via)(via); err != nil {
			return fmt.Errorf("--route %q: %q %w", text, via, err)
		}
	}
	if has {
		err := keyed("--route", more, map[string]func(string) error{"src": addr(&r.Src), "metric": number32(&r.Metric), "table": number32(&r.Table)})
		if err != nil {
			return err
		}
	}
	if err := r.Validate(); err != nil {
		return fmt.Errorf("--route %q: %w", text, err)
	}
	l.Routes = append(l.Routes, r)
	return nil
}

// rule reads --rule, with the keys of ip-rule(8).
func (l *Line) rule(text string) error {
	var r link.Rule
	err := keyed("--rule", text, map[string]func(string) error{
		"priority": number32(&r.Priority), "from": subnet(&r.From), "to": subnet(&r.To),
		"iif": ifname(&r.IIf), "oif": ifname(&r.OIf), "fwmark": fwmark(&r), "table": number32(&r.Table),
	})
	if err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return fmt.Errorf("--rule %q: %w", text, err)
	}
	l.Rules = append(l.Rules, r)
	return nil
}

func ifname(to *string) func(string) error {
	return func(text string) error {
		*to = text
		if checkName("", text) != nil {
			return errors.New("is no interface's name, such as eth1")
		}
		return nil
	}
}

func addr(to *netip.Addr) func(string) error {
	return func(text string) error {
		a, err := netip.ParseAddr(text)
		if *to = a; err != nil || a.Zone() != "" {
			return errAddr
		}
		return nil
	}
}

// subnet reads a destination as iproute2 does: default for everything in IPv4, one
// address without a length for that alone.
func subnet(to *netip.Prefix) func(string) error {
	return func(text string) error {
		if text == "default" {
			text = "0.0.0.0/0"
		}
		p, err := netip.ParsePrefix(text)
		if a, alone := netip.ParseAddr(text); alone == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if *to = p; err != nil {
			return errPrefix
		}
		return nil
	}
}

func number32(to *uint32) func(string) error {
	return func(text string) error {
		n, err := strconv.ParseUint(text, 0, 32)
		if *to = uint32(n); err != nil {
			return errNumber
		}
		return nil
	}
}

// fwmark reads a mark, and after a slash its mask.
func fwmark(r *link.Rule) func(string) error {
	return func(text string) error {
		mark, mask, masked := strings.Cut(text, "/")
		err := number32(&r.Mark)(mark)
		if err == nil && masked {
			err = number32(&r.Mask)(mask)
		}
		return err
	}
}

func wordsOf(keys map[string]func(string) error) string {
	return strings.Join(slices.Sorted(maps.Keys(keys)), "=, ") + "="
}

func routeText(r link.Route) string {
	return r.Dst.String() + piece("@", r.Via) + piece(",src=", r.Src) + piece(",metric=", r.Metric) + piece(",table=", r.Table)
}

func ruleText(r link.Rule) string {
	text := fmt.Sprintf("priority=%d", r.Priority) + piece(",from=", r.From) + piece(",to=", r.To) + piece(",iif=", r.IIf) + piece(",oif=", r.OIf)
	if r.Mark != 0 || r.Mask != 0 {
		text += fmt.Sprintf(",fwmark=%d", r.Mark) + piece("/", r.Mask)
	}
	return text + piece(",table=", r.Table)
}

// piece is a key and its value; nothing for the zero value.
func piece[T comparable](key string, value T) string {
	var zero T
	if value == zero {
		return ""
	}
	return fmt.Sprint(key, value)
}
