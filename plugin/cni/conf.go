package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/plugin"
)

// A conf is a network configuration: keys of CNI's, and beside them those of a Spec.
type conf struct {
	types.PluginConf
	// Word is the link as a host interface of the classic command line, with VLAN; "" where the
	// Spec has it.
	Word string
	VLAN int
	// Interface is the name in the guest where it is not CNI_IFNAME: that is taken where this
	// plugin comes after another one.
	Interface string
	Spec      pipework.Spec
	Runtime   runtimeConfig
	Args      args
}

// A runtimeConfig is what the runtime says of one attachment, by the capabilities that the
// configuration lists.
type runtimeConfig struct {
	IPs       []string `json:"ips"`
	MAC       string   `json:"mac"`
	Bandwidth struct { // bits per second
		IngressRate int64 `json:"ingressRate"`
		EgressRate  int64 `json:"egressRate"`
	} `json:"bandwidth"`
	Annotations map[string]string `json:"io.kubernetes.cri.pod-annotations"`
}

// args are what the configuration's key args.cni says, by the conventions of CNI.
type args struct {
	CNI struct {
		IPs []string `json:"ips"`
		MAC string   `json:"mac"`
	} `json:"cni"`
}

// theirs are the keys of CNI's, which are no Spec's.
var theirs = []string{"cniVersion", "cniVersions", "name", "type", "capabilities", "ipam", "dns", "prevResult", "runtimeConfig", "args",
	"disableCheck", "disableGC", "loadOnlyInlinedPlugins", "cni.dev/valid-attachments", "cni.dev/attachments"}

// parse reads a configuration. Beside an error there is, as far as the text is JSON, what it takes
// to take away what was attached by it.
func parse(text []byte) (*conf, error) {
	c, err := parseAll(text)
	if err != nil {
		return c, errs.New(fs.ErrInvalid, "%w", err)
	}
	return c, nil
}

func parseAll(text []byte) (*conf, error) {
	c := new(conf)
	if err := json.Unmarshal(text, &c.PluginConf); err != nil {
		return nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, err
	}
	maps.DeleteFunc(keys, func(key string, _ json.RawMessage) bool { return !own(key, "runtimeConfig", "args") })
	err := errors.Join(
		take(keys, "runtimeConfig", &c.Runtime), take(keys, "args", &c.Args), take(keys, "vlan", &c.VLAN), take(keys, "interface", &c.Interface),
	)
	if link := keys["link"]; len(link) > 0 && link[0] == '"' {
		err = errors.Join(err, take(keys, "link", &c.Word))
	}
	if err != nil {
		return c, err
	}
	rest, err := json.Marshal(keys)
	if err != nil {
		return c, err
	}
	if c.Spec, err = config.ParseSpec(rest, plugin.Kinds()...); err != nil {
		return c, err
	}
	switch {
	case c.Word == "" && c.Spec.Link == nil:
		return c, errors.New(`link is missing: write what to plug into, such as "link": "br1"`)
	case c.Word == "" && c.VLAN != 0:
		return c, errors.New(`vlan belongs to a link that is a word, such as "br1": write it into the link`)
	}
	return c, nil
}

// own says whether the key is none of CNI's, but for some.
func own(key string, but ...string) bool {
	return !slices.Contains(theirs, key) || slices.Contains(but, key)
}

// take reads the value of a key, which is no Spec's.
func take(keys map[string]json.RawMessage, key string, to any) error {
	value, is := keys[key]
	if !is {
		return nil
	}
	delete(keys, key)
	if err := json.Unmarshal(value, to); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// ask takes what the runtime says of this attachment: CNI_ARGS, which Podman says all in, args, and
// runtimeConfig, the last of which counts most.
func (c *conf) ask(cniArgs string) error {
	var ips []string
	var mac string
	for pair := range strings.SplitSeq(cniArgs, ";") {
		switch key, value, _ := strings.Cut(pair, "="); key {
		case "IP":
			ips = strings.Split(value, ",")
		case "MAC":
			mac = value
		}
	}
	for _, more := range []struct {
		ips []string
		mac string
	}{{c.Args.CNI.IPs, c.Args.CNI.MAC}, {c.Runtime.IPs, c.Runtime.MAC}} {
		if len(more.ips) > 0 {
			ips = more.ips
		}
		if more.mac != "" {
			mac = more.mac
		}
	}
	err := errors.Join(c.askMAC(mac), c.askAddrs(ips))
	c.askRates()
	if err != nil {
		return errs.New(fs.ErrInvalid, "%w", err)
	}
	return nil
}

func (c *conf) askMAC(text string) (err error) {
	if text != "" {
		c.Spec.MAC, err = net.ParseMAC(text)
	}
	return err
}

// askAddrs has the addresses take the place of the configuration's. With ipam they are that
// plugin's to give.
func (c *conf) askAddrs(ips []string) error {
	if len(ips) == 0 || !c.IPAM.IsEmpty() {
		return nil
	}
	var addrs []netip.Prefix
	for _, ip := range ips {
		p, err := c.prefix(ip)
		if err != nil {
			return err
		}
		addrs = append(addrs, p)
	}
	c.Spec.Addrs = addrs
	return nil
}

// prefix is the address with its prefix length, or that of the subnet of addrs that it is in.
func (c *conf) prefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	for _, p := range c.Spec.Addrs {
		if p.Contains(addr) {
			return netip.PrefixFrom(addr, p.Bits()), nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("%s is in no subnet of addrs: give it a prefix length, such as %s/24", text, text)
}

// askRates takes the capability bandwidth, which is the guest's: ingress is what it receives.
func (c *conf) askRates() {
	for _, r := range []struct {
		rate int64
		of   **link.Shaping
	}{{c.Runtime.Bandwidth.IngressRate, &c.Spec.Ingress}, {c.Runtime.Bandwidth.EgressRate, &c.Spec.Egress}} {
		if r.rate == 0 {
			continue
		}
		s := link.Shaping{}
		if *r.of != nil {
			s = **r.of
		}
		s.Rate = r.rate
		*r.of = &s
	}
}
