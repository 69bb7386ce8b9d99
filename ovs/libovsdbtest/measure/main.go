// Program measure compares libovsdb's client with pipework's own transport: what
// each does with answers that are no proper ones, and what connecting, a
// transaction, and the client in the command cost. docs/decisions/ovsdb.md quotes
// it. It needs ovsdb-server (package openvswitch-switch) and no privilege:
//
//	cd ovs/libovsdbtest && go run ./measure
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/go-logr/logr"
	"github.com/ovn-org/libovsdb/client"
	"github.com/ovn-org/libovsdb/model"
	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"github.com/go-pipework/pipework/internal/ovsdb"
)

func main() {
	if len(os.Args) == 3 {
		child(os.Args[1], os.Args[2])
		return
	}
	for _, measure := range []func() error{situations, hostile, speed, size} {
		if err := measure(); err != nil {
			fmt.Fprintln(os.Stderr, "measure:", err)
			os.Exit(1)
		}
	}
}

// A connection is what both clients can do.
type connection interface {
	Connect(context.Context) error
	Transact(context.Context, ...libovsdb.Operation) ([]libovsdb.OperationResult, error)
}

// The names of the two.
const (
	theirs = "libovsdb"
	ours   = "pipework"
)

// dial is a client of this name; how says what libovsdb's does about its server.
func dial(name string, how ...client.Option) (c connection, end func()) {
	endpoint := "unix:" + socket
	if name == ours {
		c := &ovsdb.Client{Database: database, Endpoint: endpoint}
		return c, func() { _ = c.Close() }
	}
	db, err := model.NewClientDBModel(database, map[string]model.Model{"Bridge": &bridge{}})
	if err != nil {
		panic(err)
	}
	quiet := logr.Discard()
	o, err := client.NewOVSDBClient(db, append(how, client.WithEndpoint(endpoint), client.WithLogger(&quiet))...)
	if err != nil {
		panic(err)
	}
	return o, o.Close
}

// inactivity has libovsdb's client ask the server ten times a second whether it lives.
func inactivity() client.Option {
	return client.WithInactivityCheck(100*time.Millisecond, time.Second, backoff.NewConstantBackOff(50*time.Millisecond))
}

// givesUp has it connect again, and not for ever.
func givesUp() client.Option {
	return client.WithReconnect(time.Second, backoff.WithMaxRetries(backoff.NewConstantBackOff(20*time.Millisecond), 2))
}

const database = "Open_vSwitch"

type bridge struct {
	UUID string `ovsdb:"_uuid"`
	Name string `ovsdb:"name"`
}

// look is the transaction of a look for a bridge.
func look() libovsdb.Operation {
	return ovsdb.Select("Bridge", ovsdb.Has("name", "lan"), "_uuid").Operation
}
