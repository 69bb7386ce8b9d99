package ns

// An Identity says who a guest is: what is written on its interfaces, and what
// a caller reads back.
type Identity struct {
	// Name is what the user calls the guest: a container's name, "pid:1234",
	// "netns:blue", a path.
	Name string `json:"name"`
	// ID is the runtime's own identifier; empty where there is none.
	ID string `json:"id,omitempty"`
	// PID is the process the namespace was found by, as seen from the caller's
	// PID namespace; 0 for a namespace found by path or name.
	PID int `json:"pid,omitempty"`
	// NetworkOf names the container whose namespace the guest uses when it does
	// not have its own (docker run --net=container:X).
	NetworkOf string `json:"network_of,omitempty"`
}
