//go:build linux

package ovs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// before calls do once, before the first transaction of this name is sent.
func before(ctx context.Context, what string, do func()) context.Context {
	var once sync.Once
	return fault.With(ctx, func(step string) error {
		if step == "ovsdb transact "+what {
			once.Do(do)
		}
		return nil
	})
}

// secondTime is before, with the transaction's second try.
func secondTime(ctx context.Context, what string, do func()) context.Context {
	tries := 0
	return fault.With(ctx, func(step string) error {
		if step == "ovsdb transact "+what {
			if tries++; tries == 2 {
				do()
			}
		}
		return nil
	})
}

// TestGuards changes the database under an attach, at the last moment: it fails as a
// whole and says why, or fits in.
func TestGuards(t *testing.T) {
	for _, tc := range []struct {
		name string
		vsct string
		is   error
		says string
	}{
		{"bridge vanished", "del-br lan", fs.ErrNotExist, "Open vSwitch has no bridge lan"},
		{"name appeared", "add-port lan vport", fs.ErrInvalid, "has a port vport already, which pipework did not make"},
		{"name appeared elsewhere", "add-port other vport", fs.ErrInvalid, "has a port vport already, which pipework did not make"},
		{"datapath changed", "set bridge lan datapath_type=system", fs.ErrInvalid, "has the datapath system, not netdev"},
		{"bridge made anew", "del-br lan -- add-br lan -- set bridge lan datapath_type=netdev", nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db, c := dummy(t)
			addBridge(t, db, "lan")
			addBridge(t, db, "other")
			target, guest := nstest.Guest(t)
			world := nstest.Observe(t, guest.Handle)
			var changed string
			ctx := before(t.Context(), "add port", func() {
				db.Vsctl(t, append([]string{"--no-wait"}, strings.Fields(tc.vsct)...)...)
				changed = db.Dump(t)
			})
			s := spec(ovs.Bridge{Name: "lan", Datapath: ovs.Netdev, HostName: "vport", Client: c}, "10.0.0.1/24")
			_, err := pipework.Attach(ctx, target, s)
			if !errors.Is(err, tc.is) || tc.says != "" && !strings.Contains(fmt.Sprint(err), tc.says) {
				t.Errorf("%v, want %v and %q", err, tc.is, tc.says)
			}
			if tc.is == nil {
				detach(t, target, s)
			}
			world.Unchanged(t)
			if diff := diff(changed, db.Dump(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// withID is a guest with the ID that a runtime gave it.
type withID struct{ ns.PID }

func (w withID) Open(ctx context.Context) (*ns.Guest, error) {
	g, err := w.PID.Open(ctx)
	if err == nil {
		g.ID, g.Name = "0123456789abcdef", "web"
	}
	return g, err
}

// TestContainerIDs compares what is written of a container with the classic tool's.
func TestContainerIDs(t *testing.T) {
	db, c := dummy(t)
	addBridge(t, db, "lan")
	target := withID{ns.PID(nstest.Process(t).PID)}
	s := spec(ovs.Bridge{Name: "lan", Tag: 7, Client: c}, "10.0.0.1/24")
	at := attach(t, target, s)
	for key, want := range map[string]string{
		"containerid": "0123456789abcdef", "containername": "web", "nspid": fmt.Sprint(int(target.PID)), "vlan": "7",
		"bridge": "lan", "interface": "eth1", "mark": "pipework link=ovs:lan interface=eth1 ",
	} {
		for _, table := range []string{"Port", "Interface"} {
			got := strings.Trim(strings.TrimSpace(db.Vsctl(t, "get", table, at.HostName, "external_ids:pipework."+key)), `"`)
			if key == "mark" {
				got = got[:min(len(got), len(want))]
			}
			if got != want {
				t.Errorf("%s of the %s is %q, want %q", key, table, got, want)
			}
		}
	}
	detach(t, target, s)
}

// TestOffload has somebody switch transmit checksum offload on again in the guest of
// a userspace datapath: Check tells, Attach mends.
func TestOffload(t *testing.T) {
	db, c := dummy(t)
	addBridge(t, db, "lan")
	target, guest := nstest.Guest(t)
	s := spec(ovs.Bridge{Name: "lan", Client: c}, "10.0.0.1/24")
	attach(t, target, s)
	if txChecksums(t, guest.Handle, look) {
		t.Error("offload is on after an attach")
	}
	if !txChecksums(t, guest.Handle, turnOn) {
		t.Fatal("offload cannot be switched on")
	}
	at, err := pipework.Check(t.Context(), target, s)
	if err != nil || len(at.Drifts) != 1 || at.Drifts[0] != "transmit checksum offload of eth1 is on" {
		t.Errorf("%+v, %v", at, err)
	}
	attach(t, target, s)
	if txChecksums(t, guest.Handle, look) {
		t.Error("offload is on after it was mended")
	}
	detach(t, target, s)
}

// What txChecksums does first.
const (
	look = iota
	turnOn
)

// txChecksums says whether transmit checksum offload of eth1 is on.
func txChecksums(t *testing.T, at *ns.Handle, first int) bool {
	t.Helper()
	value := struct{ command, data uint32 }{}
	do := func(command, data uint32) {
		value.command, value.data = command, data
		req := struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte
		}{data: unsafe.Pointer(&value)}
		copy(req.name[:], "eth1")
		err := at.Do(t.Context(), func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			if err != nil {
				return err
			}
			defer func() { _ = unix.Close(fd) }()
			if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
				return errno
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if first == turnOn {
		do(unix.ETHTOOL_STXCSUM, 1)
	}
	do(unix.ETHTOOL_GTXCSUM, 0)
	return value.data != 0
}
