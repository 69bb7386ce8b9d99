package ovs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
)

// askTime bounds how long a question about a name waits for its answer.
const askTime = 3 * time.Second

var errNoAnswer = errs.New(context.DeadlineExceeded, "nothing within %v", askTime)

// Lookup is a [link.OVSLookup] by this Client: the Bridge of this name, and
// whether there is one. It waits three seconds at most.
//
// Where no server listens, the error satisfies fs.ErrNotExist if there is no sign of
// Open vSwitch on this machine. It is here when the Client has an Endpoint, or when
// the folder of the standard socket is there, or a database in one of the standard
// places, which outlives a restart of the machine.
func (c *Client) Lookup(ctx context.Context, name string) (link.Backend, bool, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, errNoAnswer)
	defer cancel()
	s, end := c.session()
	defer end()
	got, err := s.transact(ctx, "find bridge", []ovsdb.Op{
		ovsdb.Select("Bridge", ovsdb.Has("name", name), "_uuid"),
		chooseFake(name, "tag"),
	})
	if errors.Is(err, fs.ErrNotExist) && c.here() {
		err = errs.New(syscall.ECONNREFUSED, "%v", err)
	}
	b := Bridge{Name: name, Client: c}
	if err != nil {
		return b, false, err
	}
	return b, len(got[0])+len(got[1]) > 0, nil
}

// chooseFake reads columns of the port that makes a fake bridge of this name. A fake
// bridge stands for one VLAN of another bridge: it is that one's internal port with a
// tag and fake_bridge set, and its ports are the other ports with this tag;
// ovs-vsctl(8), "add-br bridge parent vlan".
func chooseFake(name string, columns ...string) ovsdb.Op {
	return ovsdb.Select("Port", append(ovsdb.Has("name", name), ovsdb.Has("fake_bridge", true)...), columns...)
}

var _ link.OVSLookup = (*Client)(nil).Lookup

// signs are where Open vSwitch keeps its socket and its database, as Debian and Red
// Hat package it, and as it is built from source.
var signs = [...]string{
	"/var/run/openvswitch", "/etc/openvswitch/conf.db", "/var/lib/openvswitch/conf.db",
	"/usr/local/var/run/openvswitch", "/usr/local/etc/openvswitch/conf.db",
}

// here says whether there is a sign that Open vSwitch is on this machine, running or
// not.
func (c *Client) here() bool {
	if c != nil && c.Endpoint != "" {
		return true
	}
	for _, path := range signs {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}
