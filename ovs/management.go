package ovs

import (
	"errors"

	"github.com/go-pipework/pipework/internal/ovsdb"
)

// management is where ovs-vswitchd speaks OpenFlow for a bridge.
func (c *Client) management(bridge string) (path string, err error) {
	switch {
	case c == nil:
		return ovsdb.Management("", bridge)
	case c.Transactor != nil:
		return "", errors.New("a Client with a Transactor does not tell where the socket for OpenFlow is: give it an Endpoint (unix:FILE) instead")
	}
	if path, err = ovsdb.Management(c.Endpoint, bridge); err != nil {
		return "", errors.New("a pin is OpenFlow flows, for which ovs-vswitchd has a socket on its own machine only: run pipework there, with an endpoint unix:FILE")
	}
	return path, nil
}
