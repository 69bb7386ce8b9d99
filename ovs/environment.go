package ovs

import "os"

// FromEnvironment is the server that ovs-vsctl(8) would speak to: at the standard
// socket, or at the one in the folder that the variable OVS_RUNDIR names.
func FromEnvironment() *Client {
	c := new(Client)
	if dir := os.Getenv("OVS_RUNDIR"); dir != "" {
		c.Endpoint = "unix:" + dir + "/db.sock"
	}
	return c
}
