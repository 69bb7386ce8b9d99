package rtnl

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// PassedBit is the bit of a frame's mark that says that SetFilter's program has let it pass.
const PassedBit = 1 << 31

// Numbers of linux/pkt_cls.h and linux/tc_act/tc_skbedit.h.
const (
	actKind     = 1 // TCA_ACT_KIND
	actOptions  = 2
	skbeditParm = 2 // TCA_SKBEDIT_PARMS
	skbeditMark = 5
	skbeditMask = 8
	actContinue = -1 // TC_ACT_UNSPEC: the next classifier says
)

// passedHandle is that of SetPassed's classifier: "pas" in ASCII.
const passedHandle = 'p'<<16 | 'a'<<8 | 's'

// allFrames is a program that takes every frame for its classifier's.
var allFrames = []bpf.RawInstruction{{Op: unix.BPF_RET | unix.BPF_K, K: 0xffffffff}}

// SetPassed has the mark of each frame that the link receives, and SetFilter's program does not
// drop, bear PassedBit. Where the kernel lacks what it needs, the error satisfies
// errors.ErrUnsupported.
func SetPassed(ctx context.Context, c *ns.Conn, index int) error {
	m := bpfMessage(index, passedHandle)
	options := m.nest(tcaOptions)
	m.attr(bpfOpsLen, binary.NativeEndian.AppendUint16(nil, uint16(len(allFrames)))...)
	m.attr(bpfOps, encode(allFrames)...)
	acts := m.nest(bpfAct)
	first := m.nest(1)
	m.attrString(actKind, "skbedit")
	act := m.nest(actOptions)
	m.attr(skbeditParm, skbeditParms()...)
	m.attrU32(skbeditMark, PassedBit)
	m.attrU32(skbeditMask, PassedBit)
	m.end(act)
	m.end(first)
	m.end(acts)
	m.end(options)
	_, err := c.Do(ctx, m.request(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_ACK), 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return errs.New(errors.ErrUnsupported, "this kernel cannot mark frames that an interface receives: module act_skbedit")
	}
	return err
}

// skbeditParms is a struct tc_skbedit: index, capab, action, refcnt, bindcnt.
func skbeditParms() []byte {
	b := make([]byte, 20)
	action := int32(actContinue)
	binary.NativeEndian.PutUint32(b[8:], uint32(action))
	return b
}

// Passed says whether SetPassed's classifier is there as it was made.
func Passed(ctx context.Context, c *ns.Conn, index int) (bool, error) {
	msgs, err := c.Do(ctx, bpfMessage(index, passedHandle).request(unix.RTM_GETTFILTER, unix.NLM_F_ECHO|unix.NLM_F_ACK), unix.RTM_NEWTFILTER)
	if err != nil {
		return false, unlessNone(ctx, c, index, err)
	}
	if len(msgs) == 0 || len(msgs[0]) < sizeofTcmsg {
		return false, nil
	}
	options := Attr(msgs[0][sizeofTcmsg:], tcaOptions)
	act := Attr(Attr(options, bpfAct), 1)
	edit := Attr(act, actOptions)
	parms := Attr(edit, skbeditParm)
	return unix.ByteSliceToString(Attr(act, actKind)) == "skbedit" &&
		u32(Attr(options, bpfFlags))&bpfActDirect == 0 && bytes.Equal(Attr(options, bpfOps), encode(allFrames)) &&
		u32(Attr(edit, skbeditMark)) == PassedBit && u32(Attr(edit, skbeditMask)) == PassedBit &&
		len(parms) >= 12 && int32(u32(parms[8:])) == actContinue, nil
}

// DelPassed takes away what SetPassed made; nil where there is nothing.
func DelPassed(ctx context.Context, c *ns.Conn, index int) error {
	_, err := c.Do(ctx, bpfMessage(index, passedHandle).request(unix.RTM_DELTFILTER, unix.NLM_F_ACK), 0)
	return unlessNone(ctx, c, index, err)
}
