// Package docker is pipework as a network driver of Docker: what `docker network create -d
// pipework` makes networks of. Docker speaks to it over a socket, by HTTP with JSON; see
// https://github.com/moby/moby/blob/master/daemon/libnetwork/docs/remote.md.
//
// An endpoint, which is one container on one network, is made in a namespace of its own, its
// room, waits on the host under another name when Docker is about to fetch it, and is an
// interface of the guest docker-network:NETWORK/CONTAINER once Docker has moved it into the
// container. From then on it is recorded as all others are, so that `pipework check`, `pipework
// list` and `pipework watch` know it. What has to outlive this process beside that is in a note
// of each network and of each endpoint, beside the records.
//
// It needs the privileges of [pipework.Attach], and is for Linux.
package docker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-pipework/pipework/plugin"
)

// Name is what Docker calls the driver: its socket's name.
const Name = "pipework"

// DefaultSocket is where Docker looks for the driver.
const DefaultSocket = "/run/docker/plugins/" + Name + ".sock"

// DefaultRooms is where the namespaces of endpoints that are not joined yet are.
const DefaultRooms = "/run/pipework/endpoints"

// A sweeper is a Driver that looks at what was left.
type sweeper struct{ *Driver }

// Rooms are the namespaces that endpoints are in until they are joined.
type rooms struct{ *Driver }

// A Driver answers Docker.
type Driver struct {
	// Host is where to work, and with which records. Its Target finds a guest by its file.
	*plugin.Host
	// Log hears what is done; never nil.
	Log *slog.Logger
	// Engine is Docker's socket, such as unix:///var/run/docker.sock; "" is that.
	Engine string
	// Rooms is a directory for namespaces; "" is DefaultRooms.
	Rooms string

	ctx       context.Context // of what goes on between calls
	mu        sync.Mutex
	endpoints map[string]*turn
	atWork    sync.WaitGroup
	sweeping  chan struct{}                  // of capacity 1: Docker has started
	at        func(message string, did bool) // for tests: before a message is done, and before it is answered
}

// A turn is what is going on with one endpoint.
type turn struct {
	sync.Mutex
	last time.Time // when a message about it came
	stop func()    // ends what waits for the container, or keeps its lease, and waits for it; nil: nothing does
}

// patience bounds one message: Docker waits as long as it takes.
const patience = time.Minute

// Serve answers Docker until ctx ends. It begins with what was left of an earlier run.
func (d *Driver) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	d.ctx, d.endpoints, d.sweeping = ctx, map[string]*turn{}, make(chan struct{}, 1)
	server := &http.Server{Handler: d.handler(), ReadHeaderTimeout: 10 * time.Second}
	d.atWork.Go(func() { sweeper{d}.sweepAll(ctx) })
	d.atWork.Go(func() {
		<-ctx.Done()
		late, end := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer end()
		_ = server.Shutdown(late)
	})
	err := server.Serve(l)
	cancel()
	d.atWork.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// handler answers each message with what it does, or with an error that Docker shows.
func (d *Driver) handler() http.Handler {
	mux := http.NewServeMux()
	for name, do := range d.messages() {
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(d.ctx, patience)
			defer cancel()
			body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			var said any
			d.Log.Debug("message", "name", name, "body", string(body))
			d.tell(name, false)
			if err == nil {
				said, err = do(ctx, body)
			}
			d.tell(name, true)
			if err != nil {
				d.Log.Warn("refused", "message", name, "error", err)
				said = failure{"pipework: " + err.Error()}
			}
			answer(w, said)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) })
	return mux
}

// tell tells a test of a message.
func (d *Driver) tell(message string, did bool) {
	if d.at != nil {
		d.at(message, did)
	}
}

// turn is the endpoint's, which the caller has until it unlocks it.
func (d *Driver) turn(id string) *turn {
	d.mu.Lock()
	t := d.endpoints[id]
	if t == nil {
		t = new(turn)
		d.endpoints[id] = t
	}
	d.mu.Unlock()
	t.Lock()
	return t
}

// message is turn for a message of Docker's about the endpoint.
func (d *Driver) message(id string) *turn {
	t := d.turn(id)
	t.last = time.Now()
	return t
}

// background does something for the endpoint until the turn's stop is called, or the driver ends.
func (d *Driver) background(t *turn, do func(context.Context)) {
	ctx, cancel := context.WithCancel(d.ctx)
	done := make(chan struct{})
	t.stop = func() {
		cancel()
		<-done
		t.stop = nil
	}
	d.atWork.Go(func() {
		defer close(done)
		do(ctx)
	})
}

// halt ends what goes on for the endpoint.
func (t *turn) halt() {
	if t.stop != nil {
		t.stop()
	}
}
