package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A Qdisc is a queueing discipline at the root of a link. Only tbf and netem are
// read in full.
type Qdisc struct {
	Kind    string
	Rate    uint64 // bytes per second; 0: no bound
	Latency time.Duration
	Jitter  time.Duration
	Loss    uint32 // of 2³²-1
	handle  uint32
}

// ownHandle is the number by which pipework knows a qdisc that it made: pt: or pn: in
// ASCII. To change one in place takes its number.
func ownHandle(kind string) uint32 {
	if kind == "tbf" {
		return 'p'<<24 | 't'<<16
	}
	return 'p'<<24 | 'n'<<16
}

// Ours says whether pipework made the qdisc.
func (q Qdisc) Ours() bool { return q.handle == ownHandle(q.Kind) }

// Same says whether they do the same, whoever made them.
func (q Qdisc) Same(o Qdisc) bool {
	q.handle, o.handle = 0, 0
	return q == o
}

// Sizes and attributes of linux/pkt_sched.h and linux/rtnetlink.h.
const (
	sizeofTcmsg     = 20
	tcHRoot         = 0xffffffff
	tcaKind         = 1
	tcaOptions      = 2
	ethernetLayer   = 1 // TC_LINKLAYER_ETHERNET
	tbfParms        = 1 // TCA_TBF_PARMS
	tbfRate64       = 4
	tbfBurst        = 6
	netemRate       = 6 // TCA_NETEM_RATE
	netemRate64     = 8
	netemLatency64  = 10
	netemJitter64   = 11
	sizeofTbfQopt   = 36
	sizeofNetemQopt = 24
)

// SetQdisc makes q the root of the link, in the place of what was there.
func SetQdisc(ctx context.Context, c *ns.Conn, index int, q Qdisc) error {
	m := qdiscMessage(index)
	binary.NativeEndian.PutUint32(m[8:], ownHandle(q.Kind))
	m.attrString(tcaKind, q.Kind)
	at := m.nest(tcaOptions)
	if q.Kind == "tbf" {
		m.tbf(q)
	} else {
		m.netem(q)
	}
	m.end(at)
	_, err := c.Do(ctx, m.request(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK), 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return errs.New(errors.ErrUnsupported, "this kernel has no %s: module sch_%s", q.Kind, q.Kind)
	}
	return err
}

// DelQdisc gives the link its default qdisc back; nil when it has it.
func DelQdisc(ctx context.Context, c *ns.Conn, index int) error {
	_, err := c.Do(ctx, qdiscMessage(index).request(unix.RTM_DELQDISC, unix.NLM_F_ACK), 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// RootQdisc asks for the root of the link. A link that is down may have none.
func RootQdisc(ctx context.Context, c *ns.Conn, index int) (Qdisc, error) {
	msgs, err := c.Do(ctx, qdiscMessage(index).request(unix.RTM_GETQDISC, unix.NLM_F_ECHO|unix.NLM_F_ACK), unix.RTM_NEWQDISC)
	if errors.Is(err, unix.ENOENT) {
		return Qdisc{}, nil
	}
	if err != nil || len(msgs) == 0 || len(msgs[0]) < sizeofTcmsg {
		return Qdisc{}, err
	}
	attrs := msgs[0][sizeofTcmsg:]
	q := Qdisc{Kind: unix.ByteSliceToString(Attr(attrs, tcaKind)), handle: u32(msgs[0][8:])}
	q.parse(Attr(attrs, tcaOptions))
	return q, nil
}

// qdiscMessage is a struct tcmsg for the root.
func qdiscMessage(index int) message {
	m := make(message, sizeofTcmsg, 256)
	binary.NativeEndian.PutUint32(m[4:], uint32(index))
	binary.NativeEndian.PutUint32(m[12:], tcHRoot)
	return m
}

// tbf appends the options of a token bucket that lets 10 ms worth pass at once,
// and queues 50 ms worth.
func (m *message) tbf(q Qdisc) {
	burst := uint32(min(max(q.Rate/100, 5*1514), 1<<30))
	var p [sizeofTbfQopt]byte // struct tc_tbf_qopt
	p[1] = ethernetLayer      // else the kernel wants tables of 256 sizes
	binary.NativeEndian.PutUint32(p[8:], uint32(min(q.Rate, 1<<32-1)))
	p[13] = ethernetLayer
	binary.NativeEndian.PutUint32(p[24:], uint32(min(q.Rate/20, 1<<30))+burst)
	m.attr(tbfParms, p[:]...)
	m.attrU32(tbfBurst, burst)
	if q.Rate >= 1<<32 {
		m.attr(tbfRate64, binary.NativeEndian.AppendUint64(nil, q.Rate)...)
	}
}

// netemLimit is how many packets wait at most.
const netemLimit = 10000

func (m *message) netem(q Qdisc) {
	for _, v := range [...]uint32{0, netemLimit, q.Loss, 0, 0, 0} { // struct tc_netem_qopt
		*m = binary.NativeEndian.AppendUint32(*m, v)
	}
	m.attr(netemLatency64, binary.NativeEndian.AppendUint64(nil, uint64(q.Latency))...)
	m.attr(netemJitter64, binary.NativeEndian.AppendUint64(nil, uint64(q.Jitter))...)
	if q.Rate == 0 {
		return
	}
	rate := make([]byte, 16) // struct tc_netem_rate
	binary.NativeEndian.PutUint32(rate, uint32(min(q.Rate, 1<<32-1)))
	m.attr(netemRate, rate...)
	if q.Rate >= 1<<32 {
		m.attr(netemRate64, binary.NativeEndian.AppendUint64(nil, q.Rate)...)
	}
}

func (q *Qdisc) parse(options []byte) {
	rate64 := uint16(tbfRate64)
	switch {
	case q.Kind == "tbf":
		if p := Attr(options, tbfParms); len(p) >= sizeofTbfQopt {
			q.Rate = uint64(u32(p[8:]))
		}
	case q.Kind == "netem" && len(options) >= sizeofNetemQopt:
		q.Loss = u32(options[8:])
		options = options[sizeofNetemQopt:]
		rate64 = netemRate64
		q.Rate = uint64(u32(Attr(options, netemRate)))
		q.Latency = time.Duration(u64(Attr(options, netemLatency64)))
		q.Jitter = time.Duration(u64(Attr(options, netemJitter64)))
	default:
		return
	}
	if rate := u64(Attr(options, rate64)); rate != 0 {
		q.Rate = rate
	}
}

func u64(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.NativeEndian.Uint64(b)
}

// String is the qdisc's kind, and what is known of it.
func (q Qdisc) String() string {
	if q.Kind == "" {
		return "none"
	}
	return fmt.Sprintf("%s rate %dbit delay %v jitter %v loss %.3g%%", q.Kind, 8*q.Rate, q.Latency, q.Jitter, float64(q.Loss)/(1<<32-1)*100)
}
