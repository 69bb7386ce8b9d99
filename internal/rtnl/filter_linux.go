package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// Numbers of linux/pkt_sched.h and linux/pkt_cls.h.
const (
	clsactParent  = 0xfffffff1 // TC_H_CLSACT
	clsactHandle  = 0xffff0000
	clsactIngress = 0xfffffff2 // TC_H_CLSACT | TC_H_MIN_INGRESS
	clsactEgress  = 0xfffffff3
	bpfAct        = 1 // TCA_BPF_ACT
	bpfOpsLen     = 4 // TCA_BPF_OPS_LEN
	bpfOps        = 5
	bpfFlags      = 8
	bpfActDirect  = 1 // TCA_BPF_FLAG_ACT_DIRECT
	sizeofBPFInsn = 8 // struct sock_filter
)

// filterHandle is the number by which pipework knows a classifier that it made: "pin" in
// ASCII. It is of the first priority, and for all protocols.
const (
	filterHandle = 'p'<<16 | 'i'<<8 | 'n'
	filterFirst  = 1 << 16
)

var filterInfo = filterFirst | uint32(htons(unix.ETH_P_ALL))

// SetFilter has the program look at each frame that the link receives, as the first of the
// classifiers (tc). XDP and tcx (bpf(2)) come before it, and sockets that capture packets; the
// bridge, the firewall and all else after it. Where somebody's classifier of another kind is the
// first, the error satisfies fs.ErrExist. What was set before is replaced in one step. The
// program's value is a verdict of a classifier (linux/pkt_cls.h). It goes with the link.
func SetFilter(ctx context.Context, c *ns.Conn, index int, program []bpf.RawInstruction) error {
	q := tcMessage(index, clsactHandle, clsactParent, 0)
	q.attrString(tcaKind, "clsact")
	_, err := c.Do(ctx, q.request(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK), 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return filterError(err)
	}
	m := filterMessage(index)
	options := m.nest(tcaOptions)
	m.attr(bpfOpsLen, binary.NativeEndian.AppendUint16(nil, uint16(len(program)))...)
	m.attr(bpfOps, encode(program)...)
	m.attrU32(bpfFlags, bpfActDirect)
	m.end(options)
	_, err = c.Do(ctx, m.request(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_ACK), 0)
	if errors.Is(err, unix.EINVAL) {
		if all, failed := filters(ctx, c, index, clsactIngress); failed == nil && other(all) != "" {
			return errs.New(fs.ErrExist, "somebody's filter of the kind %s has the first place, that of a pin: tc filter delete dev %s ingress pref 1", other(all), nameOf(ctx, c, index))
		}
	}
	return filterError(err)
}

// other is the kind of somebody's classifier that has the place of SetFilter's: of the first
// priority, and of another kind or for one protocol; "" is none.
func other(all [][]byte) string {
	for _, m := range all {
		if len(m) < sizeofTcmsg || u32(m[16:])>>16 != filterFirst>>16 {
			continue
		}
		if kind := unix.ByteSliceToString(Attr(m[sizeofTcmsg:], tcaKind)); kind != "bpf" || u32(m[16:]) != filterInfo {
			return kind
		}
	}
	return ""
}

func nameOf(ctx context.Context, c *ns.Conn, index int) string {
	if l, err := LinkByIndex(ctx, c, index); err == nil {
		return l.Name
	}
	return "the interface"
}

// unlessNone is err, or nil where that is the kernel's answer that SetFilter's classifier is
// not there.
func unlessNone(ctx context.Context, c *ns.Conn, index int, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP):
		return nil
	case !errors.Is(err, unix.EINVAL):
		return err
	}
	// there is no qdisc that could have it, or somebody's classifier has its place
	all, failed := filters(ctx, c, index, clsactIngress)
	if failed != nil {
		return failed
	}
	if len(all) == 0 || other(all) != "" {
		return nil
	}
	return err
}

// filters are the classifiers of one direction.
func filters(ctx context.Context, c *ns.Conn, index int, parent uint32) ([][]byte, error) {
	return c.Do(ctx, tcMessage(index, 0, parent, 0).request(unix.RTM_GETTFILTER, unix.NLM_F_DUMP), unix.RTM_NEWTFILTER)
}

// DelFilter takes away what SetFilter and SetPassed made, and the qdisc that it hangs on where
// nobody else uses that; nil where there is nothing.
func DelFilter(ctx context.Context, c *ns.Conn, index int) error {
	if err := DelPassed(ctx, c, index); err != nil {
		return err
	}
	_, err := c.Do(ctx, filterMessage(index).request(unix.RTM_DELTFILTER, unix.NLM_F_ACK), 0)
	if err := unlessNone(ctx, c, index, err); err != nil {
		return err
	}
	for _, parent := range [...]uint32{clsactIngress, clsactEgress} {
		others, err := filters(ctx, c, index, parent)
		if len(others) > 0 || err != nil {
			return err
		}
	}
	_, err = c.Do(ctx, tcMessage(index, clsactHandle, clsactParent, 0).request(unix.RTM_DELQDISC, unix.NLM_F_ACK), 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) { // there is none, or one of another kind
		return nil
	}
	return err
}

// Filter is the program that SetFilter has set; nil where there is none, or it does not
// decide any more.
func Filter(ctx context.Context, c *ns.Conn, index int) ([]bpf.RawInstruction, error) {
	msgs, err := c.Do(ctx, filterMessage(index).request(unix.RTM_GETTFILTER, unix.NLM_F_ECHO|unix.NLM_F_ACK), unix.RTM_NEWTFILTER)
	if err != nil {
		return nil, unlessNone(ctx, c, index, err)
	}
	if len(msgs) == 0 || len(msgs[0]) < sizeofTcmsg {
		return nil, nil
	}
	options := Attr(msgs[0][sizeofTcmsg:], tcaOptions)
	if u32(Attr(options, bpfFlags))&bpfActDirect == 0 {
		return nil, nil
	}
	return decode(Attr(options, bpfOps)), nil
}

func filterError(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return errs.New(errors.ErrUnsupported, "this kernel cannot filter what an interface receives: modules sch_ingress and cls_bpf")
	}
	return err
}

func filterMessage(index int) message { return bpfMessage(index, filterHandle) }

// bpfMessage is about a classifier beside SetFilter's, or that.
func bpfMessage(index int, handle uint32) message {
	m := tcMessage(index, handle, clsactIngress, filterInfo)
	m.attrString(tcaKind, "bpf")
	return m
}

// tcMessage is a struct tcmsg.
func tcMessage(index int, handle, parent, info uint32) message {
	m := make(message, sizeofTcmsg, 256)
	binary.NativeEndian.PutUint32(m[4:], uint32(index))
	binary.NativeEndian.PutUint32(m[8:], handle)
	binary.NativeEndian.PutUint32(m[12:], parent)
	binary.NativeEndian.PutUint32(m[16:], info)
	return m
}

func htons(v uint16) uint16 { return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)) }

func encode(program []bpf.RawInstruction) []byte {
	b := make([]byte, 0, len(program)*sizeofBPFInsn)
	for _, i := range program {
		b = binary.NativeEndian.AppendUint16(b, i.Op)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return b
}

func decode(b []byte) (program []bpf.RawInstruction) {
	for ; len(b) >= sizeofBPFInsn; b = b[sizeofBPFInsn:] {
		program = append(program, bpf.RawInstruction{Op: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: u32(b[4:])})
	}
	return program
}
