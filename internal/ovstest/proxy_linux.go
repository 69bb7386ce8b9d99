package ovstest

import (
	"errors"
	"net"
	"sync"
	"testing"
)

// A Proxy stands between a client and a Database. Each time that bytes arrive,
// a hook may change them, delay them, or cut the connection with errors.
type Proxy struct {
	Endpoint string

	mu       sync.Mutex
	requests func(b []byte) ([]byte, error) // from the client
	answers  func(b []byte) ([]byte, error) // from the server
	open     map[net.Conn]bool
}

// ErrCut makes a hook's connection end, after the bytes it returned.
var ErrCut = errors.New("cut")

// NewProxy starts a proxy for the length of the test.
func NewProxy(t testing.TB, db *Database) *Proxy {
	t.Helper()
	path := db.dir + "/proxy.sock"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Endpoint: "unix:" + path, open: make(map[net.Conn]bool)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", db.dir+"/db.sock")
			if err != nil {
				_ = client.Close()
				continue
			}
			wg.Go(func() { p.pump(server, client, func() hook { return p.requests }) })
			wg.Go(func() { p.pump(client, server, func() hook { return p.answers }) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.closeAll()
		wg.Wait()
	})
	return p
}

type hook func([]byte) ([]byte, error)

// Hook installs what happens to requests and to answers from now on; nil lets
// them pass.
func (p *Proxy) Hook(requests, answers func([]byte) ([]byte, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.answers = requests, answers
}

func (p *Proxy) pump(to, from net.Conn, current func() hook) {
	p.keep(to, from)
	defer func() { _ = to.Close(); _ = from.Close() }()
	buf := make([]byte, 1<<20)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		change := current()
		p.mu.Unlock()
		b, cut := buf[:n], error(nil)
		if change != nil {
			b, cut = change(b)
		}
		if _, err := to.Write(b); err != nil || cut != nil {
			return
		}
	}
}

func (p *Proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.open[c] = true
	}
}

func (p *Proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}
