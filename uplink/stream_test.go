//go:build linux

package uplink_test

import (
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/uplink"
)

// A stream is a TCP connection of the remote peer to the host, which sends a number each
// millisecond and gets it back.
type stream struct {
	sent, got atomic.Uint64
	longest   atomic.Int64 // the longest time between two numbers that came back, in ns
	failed    atomic.Pointer[error]
}

// newStream connects to the host's address.
func (s *scene) newStream(t *testing.T, addr string) *stream {
	t.Helper()
	var l net.Listener
	var c net.Conn
	err := s.host.Do(t.Context(), func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(addr, "0"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	nstest.Ping(t, s.remote.Handle, addr)
	err = s.remote.Do(t.Context(), func() (err error) {
		c, err = net.DialTimeout("tcp", l.Addr().String(), testwait.Patience)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	echo, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	st := &stream{}
	fail := func(err error) {
		if err != nil {
			st.failed.CompareAndSwap(nil, &err)
		}
	}
	done := make(chan struct{}, 3)
	t.Cleanup(func() {
		for _, c := range []io.Closer{l, c, echo} {
			_ = c.Close()
		}
		for range 3 {
			<-done
		}
	})
	go func() { // the host
		_, err := io.Copy(echo, echo)
		fail(err)
		done <- struct{}{}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		for {
			if _, err := c.Write(binary.BigEndian.AppendUint64(nil, st.sent.Add(1))); err != nil {
				fail(err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 8)
		for last := time.Now(); ; {
			if _, err := io.ReadFull(c, buf); err != nil {
				fail(err)
				return
			}
			st.got.Store(binary.BigEndian.Uint64(buf))
			now := time.Now()
			st.longest.Store(max(st.longest.Load(), int64(now.Sub(last))))
			last = now
		}
	}()
	st.flows(t)
	st.longest.Store(0)
	return st
}

// flows waits until what is sent from now on has come back.
func (st *stream) flows(t *testing.T) {
	t.Helper()
	from := st.sent.Load()
	testwait.Eventually(t, "the stream flows", func() bool {
		if err := st.failed.Load(); err != nil {
			t.Fatalf("the stream ended: %v", *err)
		}
		return st.got.Load() > from+100
	})
}

// gap is the longest one since it was asked last.
func (st *stream) gap() time.Duration {
	return time.Duration(st.longest.Swap(0)).Round(100 * time.Microsecond)
}

// TestStream has connections from beyond the router go on through a move and its undo.
func TestStream(t *testing.T) { sorts(t, testStream) }

func testStream(t *testing.T, as sort) {
	for name, settings := range map[string][]string{
		"plain":  {"net.ipv6.conf.default.accept_dad=1"},
		"both":   {"net.ipv6.conf.all.accept_dad=1", "net.ipv6.conf.default.accept_dad=1"},
		"strict": {"net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.default.rp_filter=1"},
		"arp":    {"net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_filter=1"},
	} {
		if as.ovs && name != "plain" {
			continue // what the host's settings do is as with a bridge of Linux
		}
		t.Run(name, func(t *testing.T) {
			s := newScene(t, settings...)
			as.on(t, s)
			streams := []*stream{s.newStream(t, "10.0.0.2"), s.newStream(t, "fd00::2")}
			for range 3 {
				if _, err := uplink.Move(t.Context(), s.plan); err != nil {
					t.Fatal(err)
				}
				for _, st := range streams {
					st.flows(t)
				}
				if _, err := uplink.Undo(t.Context(), s.plan); err != nil {
					t.Fatal(err)
				}
				for _, st := range streams {
					st.flows(t)
				}
			}
			for _, st := range streams {
				t.Logf("longest gap: %v", st.gap())
			}
		})
	}
}

// TestGap prints the longest time in which a stream stands still, beside that of the five commands
// of every tutorial, typed on one line.
func TestGap(t *testing.T) { sorts(t, testGap) }

func testGap(t *testing.T, as sort) {
	s := newScene(t)
	as.on(t, s)
	st := s.newStream(t, "10.0.0.2")
	t.Logf("without a change:           %v", st.gap())
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	st.flows(t)
	t.Logf("pipework uplink:            %v", st.gap())
	if _, err := uplink.Undo(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	st.flows(t)
	t.Logf("pipework uplink --undo:     %v", st.gap())
	if s.db == nil {
		shim := s.plan
		shim.Bridge = uplink.ShimName(shim.NIC)
		if _, err := uplink.Move(t.Context(), shim); err != nil {
			t.Fatal(err)
		}
		st.flows(t)
		t.Logf("pipework shim:              %v", st.gap())
		if _, err := uplink.Undo(t.Context(), shim); err != nil {
			t.Fatal(err)
		}
		st.flows(t)
		t.Logf("pipework shim --undo:       %v", st.gap())
	}
	enslave := func() { ip(t, s.host, "link set nic0 master br0") }
	if s.db == nil {
		ip(t, s.host, "link add br0 type bridge", "link set br0 up")
	} else {
		s.addBridge(t)
		ip(t, s.host, "link set br0 up")
		enslave = func() { s.db.Vsctl(t, "add-port", "br0", "nic0") }
	}
	ip(t, s.host, "addr del 10.0.0.2/24 dev nic0", "addr add 10.0.0.2/24 dev br0")
	enslave()
	ip(t, s.host, "route add default via 10.0.0.1")
	st.flows(t)
	t.Logf("the classic five commands:  %v", st.gap())
}
