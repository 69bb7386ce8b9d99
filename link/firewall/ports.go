package firewall

// Ports is a table of nftables' family bridge, which holds ports of bridges to a classifier
// (tc) that looks at what they receive. A frame can pass a classifier by: what comes out of an
// ifb device is not classified (tc_skip_classify), also in another network namespace. So the
// classifier has the mark of each frame that it lets pass bear a bit, which no frame has that
// comes from another network namespace. Of ports in this group of links (ip link set group)
// the table drops what lacks the bit, before bridges and their firewall see it, and takes
// the bit off again. It also drops what they send to the addresses that bridges do not forward
// (01:80:c2:00:00:00 to 0f), which comes by another hook. The table knows no single port.
//
// Its methods need CAP_NET_ADMIN in the ports' network namespace; without, the error
// satisfies fs.ErrPermission.
type Ports struct {
	Do    Do
	Group uint32 // of links
	Bit   uint32 // of marks
}

// PortsTable is the table's name.
const PortsTable = "pipework"
