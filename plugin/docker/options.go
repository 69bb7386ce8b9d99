package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
)

// Keys of Docker's own, of a network and of an endpoint.
const (
	dockers      = "com.docker.network."
	keyGeneric   = dockers + "generic"
	keyInternal  = dockers + "internal"
	keyDriverMTU = dockers + "driver.mtu"
	keyName      = dockers + "endpoint.ifname"
)

// flags are the options that mean what they mean in a label.
var flags = []string{"mtu", "egress", "ingress", "trunk", "isolated", "hairpin", "pin", "route", "rule", "forward", "no-forward"}

// ofNetwork are the options that networks have and endpoints have not.
var ofNetwork = []string{"link", "address", "resolv"}

// ofEndpoint are those that endpoints have and networks have not.
var ofEndpoint = []string{"mac", "hostname"}

// An options is what -o, and --driver-opt of an endpoint, say.
type options map[string]string

// texts are the options among those that Docker sends, which has others of its own.
func texts(all map[string]any) options {
	o := options{}
	for k, v := range all {
		if text, is := v.(string); is && (!strings.HasPrefix(k, dockers) || k == keyName || k == keyDriverMTU) {
			o[k] = text
		}
	}
	if mtu, is := o[keyDriverMTU]; is {
		delete(o, keyDriverMTU)
		o["mtu"] = mtu
	}
	return o
}

// generic are a network's options.
func generic(m *networkMessage) options {
	all, _ := m.Options[keyGeneric].(map[string]any)
	return texts(all)
}

// with are the options with those of an endpoint in their place.
func (o options) with(endpoints options) (options, error) {
	for _, k := range ofNetwork {
		if _, is := endpoints[k]; is {
			return nil, fmt.Errorf("%s is an option of a network, not of a container on it", k)
		}
	}
	o = maps.Clone(o)
	maps.Copy(o, endpoints)
	return o, nil
}

// on says whether a switch is on.
func on(text string) bool { return text != "" && text != "false" && text != "0" }

// declared is what the options ask for on this host, without addresses. Its error satisfies
// fs.ErrInvalid where the options are wrong.
func (d *Driver) declared(ctx context.Context, o options) (keep.Declared, error) {
	line, err := o.line()
	if err != nil {
		return keep.Declared{}, errs.New(fs.ErrInvalid, "%w", err)
	}
	found, err := d.Declared(ctx, line)
	if err != nil {
		return found, err
	}
	switch found.Spec.Link.(type) {
	case link.Phys, link.Veth:
		return found, errs.New(fs.ErrInvalid, "a network cannot be on %s: take a bridge, Open vSwitch, macvlan, ipvlan, a VLAN or dummy", found.Spec.Link)
	}
	if found.Program != nil {
		return found, errs.New(fs.ErrInvalid, "address=%s: a network has no DHCP client program: write dhcp", o["address"])
	}
	if found.Spec.DHCP != nil {
		asked := *found.Spec.DHCP
		asked.NoGateway, asked.Hostname = true, o["hostname"] // Docker chooses among a container's networks
		if asked.IAID == 0 {
			asked.IAID = 1 // else it would be made of the interface's name, which changes
		}
		found.Spec.DHCP = &asked
	}
	found.Spec.Name = pipework.DefaultName
	return found, nil
}

// line is the command line that the options stand for.
func (o options) line() (config.Line, error) {
	var args []string
	for _, k := range slices.Sorted(maps.Keys(o)) {
		switch v := o[k]; {
		case slices.Contains(flags, k) && (v == "" || v == "true"):
			args = append(args, "--"+k)
		case slices.Contains(flags, k):
			for word := range strings.FieldsSeq(v) {
				args = append(args, "--"+k+"="+word)
			}
		case k != "vlan" && k != keyName && !slices.Contains(ofNetwork, k) && !slices.Contains(ofEndpoint, k):
			known := slices.Concat(ofNetwork, []string{"vlan"}, flags)
			return config.Line{}, fmt.Errorf("option %s is not known: the options of networks are %s, and those of a container on one %s, vlan, and others", k, strings.Join(known, ", "), strings.Join(ofEndpoint, ", "))
		}
	}
	if o["link"] == "" {
		return config.Line{}, errors.New("option link is missing: say what to plug containers into, as in -o link=br1")
	}
	address := o["address"]
	if address == "" {
		address = "0/0"
	}
	args = append(args, o["link"], "guest", address)
	if vlan := o["vlan"]; vlan != "" {
		args = append(args, "@"+vlan)
	}
	return config.Parse(args)
}

// dynamic says whether addresses come from the network itself.
func (o options) dynamic() bool { return o["address"] != "" && o["address"] != "0/0" }
