package rtnl

// Settings of a link stay as they are when it moves to another namespace.
type Settings struct {
	Flags      uint32 `json:"flags"` // IFF_*, of those that are settable
	Group      uint32 `json:"group"`
	TxQueueLen uint32 `json:"txqueuelen"` // frames
	GSOMaxSize uint32 `json:"gso_max_size"`
	GSOMaxSegs uint32 `json:"gso_max_segs"`
	GROMaxSize uint32 `json:"gro_max_size"`
}
