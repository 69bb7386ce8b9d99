package docker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// The messages of Docker's, as far as they matter here.

type failure struct {
	Err string
}

type (
	networkMessage struct {
		NetworkID string
		Options   map[string]any
		IPv4Data  []pool
		IPv6Data  []pool
	}
	pool struct{ Pool, Gateway string }

	endpointMessage struct {
		NetworkID, EndpointID string
		SandboxKey            string // of Join
		Interface             *addresses
		Options               map[string]any
	}
	// addresses are what Docker chose, or else what the driver did.
	addresses struct {
		Address     string `json:",omitempty"`
		AddressIPv6 string `json:",omitempty"`
		MacAddress  string `json:",omitempty"`
	}
	created struct{ Interface addresses }

	joined struct {
		InterfaceName         interfaceName
		Gateway               string `json:",omitempty"`
		GatewayIPv6           string `json:",omitempty"`
		DisableGatewayService bool
	}
	interfaceName struct {
		SrcName, DstPrefix string
		DstName            string `json:",omitempty"` // Docker 28 and later
	}
)

// A message is what one of Docker's messages does, and its answer.
type message func(ctx context.Context, body []byte) (any, error)

// nothing is the answer that says that all is well.
type nothing struct{}

// messages are those of the driver.
func (d *Driver) messages() map[string]message {
	fine := func(context.Context, []byte) (any, error) { return nothing{}, nil }
	const driver = "NetworkDriver."
	return map[string]message{
		"Plugin.Activate": func(context.Context, []byte) (any, error) {
			sweeper{d}.sweep() // Docker has started, and may have forgotten what it was about to create
			return map[string]any{"Implements": []string{"NetworkDriver"}}, nil
		},
		driver + "GetCapabilities": func(context.Context, []byte) (any, error) {
			return map[string]any{"Scope": "local", "ConnectivityScope": "local"}, nil
		},
		driver + "CreateNetwork":               reading(d.createNetwork),
		driver + "DeleteNetwork":               reading(d.deleteNetwork),
		driver + "CreateEndpoint":              reading(d.createEndpoint),
		driver + "DeleteEndpoint":              reading(d.deleteEndpoint),
		driver + "Join":                        reading(d.join),
		driver + "Leave":                       reading(d.leave),
		driver + "EndpointOperInfo":            reading(d.info),
		driver + "DiscoverNew":                 fine,
		driver + "DiscoverDelete":              fine,
		driver + "ProgramExternalConnectivity": fine,
		driver + "RevokeExternalConnectivity":  fine,
		driver + "AllocateNetwork":             swarm,
		driver + "FreeNetwork":                 swarm,
	}
}

func swarm(context.Context, []byte) (any, error) {
	return nil, errors.New("networks of a swarm are not supported: create it with --scope local")
}

// reading is a message whose body is an M.
func reading[M any](do func(context.Context, *M) (any, error)) message {
	return func(ctx context.Context, body []byte) (any, error) {
		m := new(M)
		if err := json.Unmarshal(body, m); err != nil {
			return nil, err
		}
		return do(ctx, m)
	}
}

func answer(w http.ResponseWriter, a any) {
	w.Header().Set("Content-Type", "application/vnd.docker.plugins.v1.1+json")
	_ = json.NewEncoder(w).Encode(a)
}
