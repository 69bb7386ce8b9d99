package rtnl

// A Saved is an address or a route as the kernel told it, the payload of RTM_NEWADDR or
// RTM_NEWROUTE: what is put back has every attribute that it had.
type Saved []byte
