package ns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
)

// A Conn is a route-netlink connection that was opened inside one namespace
// and stays there, whatever thread uses it. It may be used from several
// goroutines; their requests wait for one another.
//
// Requests are those of the netlink library. The socket is our own: the
// library's zeroes 64 KiB for every message it receives, and asks for its own
// port number every time, which together take longer than the kernel does.
type Conn struct {
	mu     sync.Mutex
	fd     int
	seq    uint32
	strict bool // NETLINK_GET_STRICT_CHK was asked for
}

// Dial opens a Conn in the namespace of the calling thread. [Handle.Conn] opens
// one in another namespace.
func Dial(ctx context.Context) (*Conn, error) {
	if err := fault.Step(ctx, "open netlink"); err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1) // Linux 4.12: errors with a text
	return &Conn{fd: fd}, nil
}

// Here opens a Conn in the namespace of the calling thread, and holds that open: the
// socket is asked for it, which takes less than [Current], and needs CAP_NET_ADMIN;
// without it Current is called.
func Here(ctx context.Context) (*Handle, *Conn, error) {
	c, err := Dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	var h *Handle
	if fd, refused := unix.IoctlRetInt(c.fd, unix.SIOCGSKNS); refused == nil {
		if h, err = newHandle(fd); err == nil {
			// That it was told takes CAP_NET_ADMIN in the user namespace that owns it, so
			// that is the thread's own or one below. Entering any other namespace takes
			// CAP_SYS_ADMIN in the thread's own, and thereby in the one below.
			h.back = true
		}
	} else {
		h, err = Current()
	}
	if err != nil {
		_ = c.Close()
		return nil, nil, err
	}
	return h, c, nil
}

// Visit opens a Conn inside the namespace from the calling thread, which must be in
// the namespace home, and is again when Visit returns: that saves the second thread
// of [Handle.Conn]. also, unless nil, is called on the same visit. Needs
// CAP_SYS_ADMIN in the owning user namespaces of both and in the caller's own;
// without it the error satisfies [fs.ErrPermission]. It panics should the kernel
// not let the thread back, which it was asked for before.
func (h *Handle) Visit(ctx context.Context, home *Handle, also func()) (*Conn, error) {
	if err := fault.Step(ctx, "enter namespace"); err != nil {
		return nil, err
	}
	var c *Conn
	err := h.visit(home, func() (err error) {
		if c, err = Dial(ctx); err == nil && also != nil {
			also()
		}
		return err
	})
	return c, err
}

// Close closes the connection. Every later use fails.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}

// Index is the index of the interface with this name, at a fraction of what asking
// for all of the interface takes. Errors are the kernel's: unix.ENODEV where there is
// none.
func (c *Conn) Index(ctx context.Context, name string) (int, error) {
	if err := fault.Step(ctx, "SIOCGIFINDEX"); err != nil {
		return 0, err
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := unix.IoctlIfreq(c.fd, unix.SIOCGIFINDEX, req); err != nil {
		return 0, err
	}
	return int(req.Uint32()), nil
}

// Do sends one request and returns the messages of type reply that answer it,
// without their netlink headers; reply 0 takes any. A request that is only
// acknowledged has none. Errors are the kernel's (unix.Errno by errors.As), with
// its extended text where it gave one. A dump that others' changes interrupted
// is repeated.
func (c *Conn) Do(ctx context.Context, req *nl.NetlinkRequest, reply uint16) ([][]byte, error) {
	return c.DoWhere(ctx, req, reply, func([]byte) bool { return true })
}

// DoWhere is [Conn.Do] that keeps only those messages that want picks, so that a namespace
// with hundreds of thousands of routes takes no memory for them. What want is given is
// valid until it returns.
func (c *Conn) DoWhere(ctx context.Context, req *nl.NetlinkRequest, reply uint16, want func(message []byte) bool) ([][]byte, error) {
	for try := 1; ; try++ {
		if err := fault.Step(ctx, stepName(req.Type)); err != nil {
			return nil, err
		}
		msgs, err := c.exchange(req, reply, want)
		if try == maxDumps || !errors.Is(err, nl.ErrDumpInterrupted) {
			return msgs, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// maxDumps bounds how often a dump is repeated. A guest can interrupt those of its own
// namespace, by links that come and go all the time.
const maxDumps = 100

// buffers are large enough for what the kernel packs into one answer: 32 KiB, or a
// single link or route that is larger, whose longest attribute has 64 KiB. A guest
// can make one: by altnames.
var buffers = sync.Pool{New: func() any { return new([128 << 10]byte) }}

// exchange sends one request and reads until it is answered. The kernel works on
// it inside the system call that sends it, and has the answer, or an ENOBUFS, at
// hand when that returns: reading does not wait.
func (c *Conn) exchange(req *nl.NetlinkRequest, reply uint16, want func([]byte) bool) ([][]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if req.Flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP && !c.strict { // each of its bits means something else by itself
		c.strict = true
		_ = unix.SetsockoptInt(c.fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1) // Linux 4.20: filtered by the kernel
	}
	c.seq++
	req.Seq = c.seq
	if _, err := unix.Write(c.fd, encode(req)); err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	buf := buffers.Get().(*[128 << 10]byte)
	defer buffers.Put(buf)
	a := answer{seq: c.seq, reply: reply, want: want, single: req.Flags&(unix.NLM_F_DUMP|unix.NLM_F_ACK) == 0}
	for !a.done {
		n, err := unix.Read(c.fd, buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, fmt.Errorf("netlink: %w", err)
		case n == len(buf):
			return nil, fmt.Errorf("netlink: an answer has %d bytes or more: %w", n, unix.EMSGSIZE)
		}
		if err := a.read(buf[:n]); err != nil {
			return nil, err
		}
	}
	if a.interrupted {
		return nil, nl.ErrDumpInterrupted
	}
	return a.msgs, nil
}

// encode is req.Serialize, without its copies for a request that is in one piece.
func encode(req *nl.NetlinkRequest) []byte {
	if len(req.Data) > 0 {
		return req.Serialize()
	}
	b := make([]byte, 0, unix.SizeofNlMsghdr+len(req.RawData))
	b = binary.NativeEndian.AppendUint32(b, uint32(cap(b)))
	b = binary.NativeEndian.AppendUint16(b, req.Type)
	b = binary.NativeEndian.AppendUint16(b, req.Flags)
	b = binary.NativeEndian.AppendUint32(b, req.Seq)
	b = binary.NativeEndian.AppendUint32(b, req.Pid)
	return append(b, req.RawData...)
}

// An answer gathers what comes back for one request.
type answer struct {
	seq         uint32
	reply       uint16
	want        func(message []byte) bool
	single      bool // one message, not acknowledged
	msgs        [][]byte
	done        bool
	interrupted bool
}

// read takes the messages of one datagram.
func (a *answer) read(b []byte) error {
	for len(b) >= unix.SizeofNlMsghdr && !a.done {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return fmt.Errorf("netlink: message of %d bytes in %d: %w", size, len(b), unix.EBADMSG)
		}
		kind, flags, seq := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:]), binary.NativeEndian.Uint32(b[8:])
		if seq == a.seq {
			if err := a.take(kind, flags, b[unix.SizeofNlMsghdr:size]); err != nil {
				return err
			}
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return nil
}

func (a *answer) take(kind, flags uint16, body []byte) error {
	a.interrupted = a.interrupted || flags&unix.NLM_F_DUMP_INTR != 0
	switch {
	case kind == unix.NLMSG_ERROR, kind == unix.NLMSG_DONE:
		a.done = true
		return kernelError(kind, flags, body)
	case (a.reply == 0 || a.reply == kind) && a.want(body):
		a.msgs = append(a.msgs, slices.Clone(body))
	}
	a.done = a.single && flags&unix.NLM_F_MULTI == 0
	return nil
}

// kernelError reads an acknowledgement: errno, the request or its header, and
// with NLM_F_ACK_TLVS attributes, among them a text.
func kernelError(kind, flags uint16, body []byte) error {
	if len(body) < 4 {
		return nil
	}
	errno := -int32(binary.NativeEndian.Uint32(body))
	if errno == 0 {
		return nil
	}
	err := error(unix.Errno(errno))
	if flags&unix.NLM_F_ACK_TLVS == 0 {
		return named(err)
	}
	tlvs := body[4:]
	if kind == unix.NLMSG_ERROR && len(tlvs) >= unix.SizeofNlMsghdr {
		skip := unix.SizeofNlMsghdr
		if flags&unix.NLM_F_CAPPED == 0 {
			skip = (int(binary.NativeEndian.Uint32(tlvs)) + 3) &^ 3
		}
		tlvs = tlvs[min(skip, len(tlvs)):]
	}
	attrs, _ := nl.ParseRouteAttr(tlvs)
	for _, a := range attrs {
		if a.Attr.Type == nl.NLMSGERR_ATTR_MSG {
			return fmt.Errorf("%w: %s", err, unix.ByteSliceToString(a.Value))
		}
	}
	return named(err)
}

// named says which capability the kernel misses where it refuses without a word
// (rtnetlink_rcv_msg in net/core/rtnetlink.c).
func named(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: needs CAP_NET_ADMIN (run as root)", err)
	}
	return err
}

func stepName(msgType uint16) string {
	switch msgType {
	case unix.RTM_NEWLINK:
		return "RTM_NEWLINK"
	case unix.RTM_SETLINK:
		return "RTM_SETLINK"
	case unix.RTM_DELLINK:
		return "RTM_DELLINK"
	case unix.RTM_GETLINK:
		return "RTM_GETLINK"
	case unix.RTM_NEWADDR:
		return "RTM_NEWADDR"
	case unix.RTM_NEWROUTE:
		return "RTM_NEWROUTE"
	case unix.RTM_GETROUTE:
		return "RTM_GETROUTE"
	}
	return fmt.Sprintf("rtnetlink message %d", msgType)
}
