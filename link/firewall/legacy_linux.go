package firewall

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
)

// An xtables is how one family's iptables-legacy keeps its rules in the kernel,
// out of netlink's reach. Offsets are those of struct ipt_entry and ip6t_entry
// (linux/netfilter_ipv4/ip_tables.h, netfilter_ipv6/ip6_tables.h).
type xtables struct {
	names         string // the file that lists the tables in use
	domain, level int
	interfaces    int // offset of iniface[16], outiface[16]
	inverted      int // of invflags
	target        int // of target_offset, next_offset
}

var (
	xtables4 = xtables{"ip_tables_names", unix.AF_INET, unix.IPPROTO_IP, 16, 83, 88}
	xtables6 = xtables{"ip6_tables_names", unix.AF_INET6, unix.IPPROTO_IPV6, 64, 132, 140}
)

// findLegacy reads the rules of iptables-legacy, in the calling thread's network
// namespace, for the families that have no chain of Docker's in nftables. Rules
// that cannot be read count as none: for lack of privilege, or on 386, where the
// structs differ.
func (f *firewall) findLegacy(ctx context.Context) error {
	for _, fam := range f.families {
		if f.docker(fam) != nil {
			continue
		}
		if err := fault.Step(ctx, "read "+fam.legacy.names); err != nil {
			return err
		}
		var names [256]byte // not of /proc/net: that is the main thread's
		n, err := readStart("/proc/thread-self/net/"+fam.legacy.names, names[:])
		if err != nil || !slices.Contains(strings.Fields(string(names[:n])), "filter") {
			continue
		}
		if rules, err := fam.legacy.read(); err == nil {
			f.legacy = append(f.legacy, rules)
		}
	}
	return nil
}

// legacyCommand is what to type where iptables-legacy drops the family's frames, or
// "": changing its rules is not for us, as it replaces whole tables.
func (f *firewall) legacyCommand(fam ipFamily) string {
	for _, l := range f.legacy {
		if l.xtables != fam.legacy || !l.drops(f.bridge.Name) {
			continue
		}
		chain := "FORWARD"
		if l.has(dockerChain) {
			chain = dockerChain
		}
		return insertCommand(fam.tool+"-legacy", chain, f.bridge.Name)
	}
	return ""
}

// A legacyRules is the filter table as the kernel hands it out: entry after
// entry, each with its matches and its target.
type legacyRules struct {
	xtables
	blob   []byte
	policy int // offset of the entry that is FORWARD's policy
}

// IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES, and their IPv6 namesakes.
const (
	getInfo    = 64
	getEntries = 65
)

// read asks for the filter table in the calling thread's network namespace.
func (x xtables) read() (*legacyRules, error) {
	fd, err := unix.Socket(x.domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("ask for the rules of iptables-legacy: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	const forward, info, header = 2, 84, 40 // NF_INET_FORWARD; sizeof ipt_getinfo, ipt_get_entries
	for try := 1; ; try++ {
		b := make([]byte, info)
		copy(b, "filter")
		if err := x.get(fd, getInfo, b); err != nil {
			return nil, err
		}
		policy := int(binary.NativeEndian.Uint32(b[56+4*forward:])) // underflow[]
		size := binary.NativeEndian.Uint32(b[80:])
		b = make([]byte, header+int(size))
		copy(b, "filter")
		binary.NativeEndian.PutUint32(b[32:], size)
		err := x.get(fd, getEntries, b)
		if err == nil {
			return &legacyRules{xtables: x, blob: b[header:], policy: policy}, nil
		}
		if try == tries || !errors.Is(err, unix.EAGAIN) { // EAGAIN: the table was replaced meanwhile
			return nil, err
		}
	}
}

// get is getsockopt(2) with a question in the buffer.
func (x xtables) get(fd, option int, b []byte) error {
	size := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(x.level), uintptr(option),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return fmt.Errorf("ask for the rules of iptables-legacy: %w", errno)
	}
	return nil
}

// each calls f with every entry and its target until f returns true, and says
// whether it did.
func (l *legacyRules) each(f func(at int, entry, target []byte) bool) bool {
	for at := 0; at+l.target+4 <= len(l.blob); {
		entry := l.blob[at:]
		target := int(binary.NativeEndian.Uint16(entry[l.target:]))
		next := int(binary.NativeEndian.Uint16(entry[l.target+2:]))
		if next > len(entry) || target+targetSize > next {
			return false
		}
		if f(at, entry[:next], entry[target:next]) {
			return true
		}
		at += next
	}
	return false
}

// A target is a size, a name of 29 bytes, a revision, and its data: for the
// standard one, whose name is empty, a verdict.
const (
	targetName = 2
	targetData = 32
	targetSize = 36
	acceptWord = -2 // -NF_ACCEPT - 1
)

func isVerdict(target []byte, verdict int32) bool {
	return target[targetName] == 0 && int32(binary.NativeEndian.Uint32(target[targetData:])) == verdict
}

// drops says whether FORWARD's policy is to drop and no rule accepts what comes
// from the bridge and goes to it.
func (l *legacyRules) drops(bridge string) bool {
	return !l.each(func(at int, entry, target []byte) bool {
		names := entry[l.interfaces : l.interfaces+32]
		return isVerdict(target, acceptWord) && (at == l.policy || entry[l.inverted] == 0 &&
			unix.ByteSliceToString(names[:16]) == bridge && unix.ByteSliceToString(names[16:]) == bridge)
	})
}

// has says whether there is a chain of this name: it begins with an error whose
// text is the name.
func (l *legacyRules) has(chain string) bool {
	return l.each(func(_ int, _, target []byte) bool {
		return unix.ByteSliceToString(target[targetName:targetData]) == "ERROR" && unix.ByteSliceToString(target[targetData:]) == chain
	})
}
