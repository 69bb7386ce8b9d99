package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// openVSwitch is the server that ovs-vsctl(8) would speak to: at the standard
// socket, or at the one in the folder that OVS_RUNDIR names.
func openVSwitch() *ovs.Client {
	c := new(ovs.Client)
	if dir := os.Getenv("OVS_RUNDIR"); dir != "" {
		c.Endpoint = "unix:" + dir + "/db.sock"
	}
	return c
}

// ovsBridge is the backend of a mark that package link cannot know; nil for
// others.
func ovsBridge(mark string) link.Backend {
	if name, ok := strings.CutPrefix(mark, "ovs:"); ok {
		return ovs.Bridge{Name: name, Client: openVSwitch()}
	}
	return nil
}

// collectApart is how long gc waits before it looks a second time, once it has seen
// a port whose guest is gone: a guest that is just being started anew is back by then.
const collectApart = time.Second

// collectPorts removes the Open vSwitch ports of dead guests. Where there is no
// Open vSwitch there are none.
func collectPorts(ctx context.Context) ([]string, error) {
	host, err := ns.Current()
	if err != nil {
		return nil, err
	}
	defer func() { _ = host.Close() }()
	conn, err := ns.Dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	c := openVSwitch()
	defer func() { _ = c.Close() }()
	names, err := c.Collect(ctx, link.Host{Handle: host, Conn: conn}, collectApart)
	if errors.Is(err, fs.ErrNotExist) {
		return names, nil
	}
	return names, err
}
