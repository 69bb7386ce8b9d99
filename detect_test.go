//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

// ovsBridge stands for the backend of package ovs.
type ovsBridge struct {
	link.Backend
	name string
}

func TestDetect(t *testing.T) {
	nic := addNIC(t, "nic0")
	addNIC(t, "br-nic")
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	h := host(t)
	guest, g := nstest.Guest(t)
	plug(t, guest, link.Macvlan{Parent: "nic0"}) // a guest's interface is nobody's NIC
	world := nstest.Observe(t, g.Handle)
	ovs := func(_ context.Context, name string) (link.Backend, bool, error) {
		return ovsBridge{name: name}, false, nil
	}
	for _, c := range []struct {
		name string
		ovs  link.OVSLookup
		want link.Backend
	}{
		{"lan", nil, link.Bridge{Name: "lan"}},
		{"nic0", ovs, link.Macvlan{Parent: "nic0"}},
		{"br-nic", ovs, link.Macvlan{Parent: "br-nic"}},
		{"mac:" + macOf(t, nic.Name), nil, link.Macvlan{Parent: "nic0"}},
		{"mac:" + strings.ToUpper(macOf(t, "lan")), nil, link.Bridge{Name: "lan"}},
		{"br7", nil, link.Bridge{Name: "br7"}},
		{"ovs7", ovs, ovsBridge{name: "ovs7"}},
		{"dummy0", nil, link.Dummy{}},
		{"vlan:nic0", nil, link.VLAN{Parent: "nic0"}},
		{"veth:web0", nil, link.Veth{HostName: "web0"}},
	} {
		got, err := link.Detect(t.Context(), h, c.name, c.ovs)
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(ovsBridge{})); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, diff)
		}
	}
	for _, c := range []struct {
		name string
		is   error
		says string
	}{
		{"nic9", fs.ErrNotExist, "no interface nic9: it has br-nic, "},
		{"ovs7", errors.ErrUnsupported, "Open vSwitch"},
		{"vlan:nic9", fs.ErrNotExist, "no interface nic9"},
		{"mac:02:00:00:00:00:99", fs.ErrNotExist, "nic0 " + macOf(t, "nic0")},
		{"mac:pears", fs.ErrInvalid, "pears"},
	} {
		if b, err := link.Detect(t.Context(), h, c.name, nil); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", c.name, b, err)
		}
	}
	world.Unchanged(t)
	unplug(t, guest, nil)
}

func macOf(t *testing.T, name string) string {
	t.Helper()
	l, err := net.InterfaceByName(name)
	must(t, err)
	return l.HardwareAddr.String()
}

// A tun device may have any device type; it does not become InfiniBand by that,
// and Open vSwitch is asked about it.
func TestDetectTun(t *testing.T) {
	tun := &netlink.Tuntap{LinkAttrs: attrs("tun0"), Mode: netlink.TUNTAP_MODE_TUN, Queues: 1, NonPersist: true}
	onHost(t, func(h *netlink.Handle) {
		if err := h.LinkAdd(tun); err != nil {
			t.Skip("no tun:", err)
		}
	})
	const setLink = 0x400454cd  // TUNSETLINK of linux/if_tun.h
	for _, f := range tun.Fds { // the device goes with them
		defer func() { _ = f.Close() }()
		must(t, unix.IoctlSetInt(int(f.Fd()), setLink, 32))
	}
	if text, err := os.ReadFile("/sys/class/net/tun0/type"); err == nil && string(text) != "32\n" {
		t.Errorf("type %q", text)
	}
	guest, _ := nstest.Guest(t)
	_, err := pipework.Attach(t.Context(), guest, pipework.Spec{Link: link.IPoIB{Parent: "tun0"}})
	if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "no IPoIB interface but a tun") {
		t.Errorf("plugged into a tun device: %v", err)
	}
	h := host(t)
	asked := ""
	for exists, want := range map[bool]link.Backend{true: ovsBridge{name: "tun0"}, false: link.Macvlan{Parent: "tun0"}} {
		got, err := link.Detect(t.Context(), h, "tun0", func(_ context.Context, name string) (link.Backend, bool, error) {
			asked = name
			return ovsBridge{name: name}, exists, nil
		})
		if err != nil || got != want || asked != "tun0" {
			t.Errorf("%v: %#v, %v, asked for %q", exists, got, err, asked)
		}
	}
}

// addTun makes a tun device that lasts as long as the test.
func addTun(t *testing.T, name string) {
	t.Helper()
	tun := &netlink.Tuntap{LinkAttrs: attrs(name), Mode: netlink.TUNTAP_MODE_TAP, Queues: 1, NonPersist: true}
	onHost(t, func(h *netlink.Handle) {
		if err := h.LinkAdd(tun); err != nil {
			t.Skip("no tun:", err)
		}
	})
	t.Cleanup(func() {
		for _, f := range tun.Fds { // the device goes with them
			_ = f.Close()
		}
	})
}

// TestDetectAsks has three kinds of Open vSwitch: one that does not answer, one
// that is not there, and one that has a bridge of every name. What may be its bridge
// is told by it alone; NICs and Linux bridges, and what is spelled out, never ask.
func TestDetectAsks(t *testing.T) {
	addNIC(t, "nic0")
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	addTun(t, "tap0")
	h := host(t)
	asked := 0
	says := func(exists bool, err error) link.OVSLookup {
		return func(_ context.Context, name string) (link.Backend, bool, error) {
			asked++
			return ovsBridge{name: name}, exists, err
		}
	}
	errSilent := errors.New("it is silent")
	silent, absent, has := says(false, errSilent), says(false, fs.ErrNotExist), says(true, nil)
	for _, c := range []struct {
		name  string
		ovs   link.OVSLookup
		want  link.Backend
		is    error
		asked int
	}{
		{"nic0", silent, link.Macvlan{Parent: "nic0"}, nil, 0},
		{"lan", silent, link.Bridge{Name: "lan"}, nil, 0},
		{"mac:" + macOf(t, "nic0"), silent, link.Macvlan{Parent: "nic0"}, nil, 0},
		{"mac:02:00:00:00:00:99", silent, nil, fs.ErrNotExist, 0},
		{"tap0", silent, nil, errSilent, 1},
		{"br7", silent, nil, errSilent, 1},
		{"ovs7", silent, nil, errSilent, 1},
		{"dummy7", silent, nil, errSilent, 1},
		{"nic7", silent, nil, errSilent, 1},
		{"tap0", absent, link.Macvlan{Parent: "tap0"}, nil, 1},
		{"br7", absent, link.Bridge{Name: "br7"}, nil, 1},
		{"ovs7", absent, nil, fs.ErrNotExist, 1},
		{"dummy7", absent, link.Dummy{}, nil, 1},
		{"nic7", absent, nil, fs.ErrNotExist, 1},
		{"tap0", has, ovsBridge{name: "tap0"}, nil, 1},
		{"br7", has, ovsBridge{name: "br7"}, nil, 1},
		{"dummy7", has, ovsBridge{name: "dummy7"}, nil, 1},
		{"nic7", has, ovsBridge{name: "nic7"}, nil, 1},
		{"macvlan:tap0", silent, link.Macvlan{Parent: "tap0"}, nil, 0},
		{"macvlan:nic7", silent, nil, fs.ErrNotExist, 0},
		{"bridge:br7", silent, link.Bridge{Name: "br7"}, nil, 0},
		{"bridge:lan", silent, link.Bridge{Name: "lan"}, nil, 0},
		{"ovs:br7", says(false, nil), ovsBridge{name: "br7"}, nil, 1},
		{"ovs:br7", silent, nil, errSilent, 1},
		{"ovs:br7", nil, nil, errors.ErrUnsupported, 0},
		{"tunnel:br7", has, nil, fs.ErrInvalid, 0},
	} {
		asked = 0
		got, err := link.Detect(t.Context(), h, c.name, c.ovs)
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(ovsBridge{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if !errors.Is(err, c.is) || (err != nil) != (c.is != nil) || asked != c.asked {
			t.Errorf("%s: %v, asked %d times; want %v, %d times", c.name, err, asked, c.is, c.asked)
		}
	}
}

// TestDetectDatapath has a device that only a running Open vSwitch makes: a socket
// that is not where it is looked for is no sign that there is none.
func TestDetectDatapath(t *testing.T) {
	addTun(t, "ovs-netdev")
	h := host(t)
	absent := func(context.Context, string) (link.Backend, bool, error) { return nil, false, fs.ErrNotExist }
	for name, way := range map[string]string{
		"br7":        "write bridge:br7 for a Linux bridge, or start Open vSwitch, ",
		"dummy7":     "start Open vSwitch, which may have a bridge dummy7, ",
		"ovs-netdev": "write macvlan:ovs-netdev for a macvlan on it, or start Open vSwitch, ",
	} {
		if b, err := link.Detect(t.Context(), h, name, absent); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), way) {
			t.Errorf("%s: %#v, %v", name, b, err)
		}
	}
}
