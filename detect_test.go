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
