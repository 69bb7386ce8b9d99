package ovs

import (
	"errors"
	"path/filepath"
	"strings"
)

// management is where ovs-vswitchd speaks OpenFlow for a bridge: beside the database's
// socket, ovs-vswitchd(8).
func (c *Client) management(bridge string) (path string, err error) {
	endpoint := standardEndpoint
	if c != nil && c.Endpoint != "" {
		endpoint = c.Endpoint
	}
	file, here := strings.CutPrefix(endpoint, "unix:")
	switch {
	case c != nil && c.Transactor != nil:
		return "", errors.New("a Client with a Transactor does not tell where the socket for OpenFlow is: give it an Endpoint (unix:FILE) instead")
	case !here:
		return "", errors.New("a pin is OpenFlow flows, for which ovs-vswitchd has a socket on its own machine only: run pipework there, with an endpoint unix:FILE")
	}
	return filepath.Join(filepath.Dir(file), bridge+".mgmt"), nil
}
