package link

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework/ns"
)

// A Mark says that pipework made a link, and for whom. It is kept in the link's
// ifalias, where `ip link` shows it, and survives a move to another namespace.
// Its keys are those that the shell tool wrote into Open vSwitch.
type Mark struct {
	Link      string // the Backend's String
	Interface string // the name inside the guest
	Guest     ns.Identity
	Spec      string // digest of what was asked for
	Was       string // of a Phys: what it was on the host
	Lease     string // what it takes to give a DHCP lease back; empty: none
	Lease6    string // the same of a DHCPv6 lease
	Rules     string // the priorities of its policy rules: 100+200; empty: none
	Pin       string // on the host's end of a pair: what a [Pin] has beside the Spec; empty: none
	Namespace uint64 // on the host's end of a pair: the inode number of the namespace that the other end was made in; 0: it is not told
}

// markWord begins every mark.
const markWord = "pipework"

// aliasMax is what the kernel keeps of an ifalias (IFALIASZ, without the NUL).
const aliasMax = 255

// String is the mark as it is kept: at most 255 bytes of printable ASCII. A
// guest's name that would not fit is shortened, and rules are left out from the last on.
func (m Mark) String() string {
	s := m.format(m.Guest.Name)
	if over := len(s) - aliasMax; over > 0 {
		s = m.format(m.Guest.Name[:max(0, len(m.Guest.Name)-over)])
	}
	return cut(s)
}

// cut is as much of a mark as an alias has room for. A priority of a rule that was cut would be
// another rule's.
func cut(s string) string {
	if len(s) <= aliasMax {
		return s
	}
	if last := s[strings.LastIndexByte(s[:aliasMax], ' ')+1:]; strings.HasPrefix(last, "rules=") {
		return s[:strings.LastIndexAny(s[:aliasMax+1], "+ ")]
	}
	return s[:aliasMax]
}

// IsNIC says that the mark claims to be on an interface of the host's own, see
// [Phys]; [NICs] tells whether that is so.
func (m Mark) IsNIC() bool { return strings.HasPrefix(m.Link, "phys:") }

func (m Mark) format(name string) string {
	var b strings.Builder
	b.Grow(aliasMax)
	b.WriteString(markWord)
	for _, kv := range [...][2]string{
		{"link", m.Link}, {"interface", m.Interface}, {"spec", m.Spec}, {"pin", m.Pin}, {"lease", m.Lease}, {"lease6", m.Lease6}, {"rules", m.Rules}, {"nspid", number(m.Guest.PID)}, {"netns", number(m.Namespace)},
		{"containerid", short(m.Guest.ID)}, {"was", m.Was}, {"network_of", m.Guest.NetworkOf}, {"containername", name},
	} {
		if kv[1] != "" {
			b.WriteByte(' ')
			b.WriteString(kv[0])
			b.WriteByte('=')
			b.WriteString(url.PathEscape(kv[1]))
		}
	}
	return b.String()
}

func number[T int | uint64](n T) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// short is a container ID as runtimes print it: its first twelve characters. Of a namespace's
// file, which is the ID of some guests (ns.Kind.ByFile), there is nothing to tell.
func short(id string) string {
	if strings.HasPrefix(id, "/") {
		return ""
	}
	return id[:min(len(id), 12)]
}

// ParseMark reads a mark from an ifalias. Other people's aliases are not ok.
func ParseMark(alias string) (Mark, bool) {
	word, rest, _ := strings.Cut(alias, " ")
	if word != markWord || len(alias) > aliasMax {
		return Mark{}, false
	}
	var m Mark
	for field := range strings.FieldsSeq(rest) {
		key, value, _ := strings.Cut(field, "=")
		v, err := url.PathUnescape(value)
		if err == nil && !strings.ContainsFunc(v, func(r rune) bool { return !strconv.IsPrint(r) }) { // guests may write marks
			m.set(key, v)
		}
	}
	return m, m.Link != ""
}

func (m *Mark) set(key, value string) {
	switch key {
	case "link":
		m.Link = value
	case "interface":
		m.Interface = value
	case "spec":
		m.Spec = value
	case "lease":
		m.Lease = value
	case "lease6":
		m.Lease6 = value
	case "rules":
		m.Rules = value
	case "pin":
		m.Pin = value
	case "nspid":
		m.Guest.PID, _ = strconv.Atoi(value)
	case "netns":
		m.Namespace, _ = strconv.ParseUint(value, 10, 64)
	case "containerid":
		m.Guest.ID = value
	case "was":
		m.Was = value
	case "network_of":
		m.Guest.NetworkOf = value
	case "containername":
		m.Guest.Name = value
	}
}

// hostName is the classic name of a host end, v<ifname>pl<pid>. Where that has
// more than 15 characters, or the guest has no PID, it is "vpl" and twelve hex
// digits of a hash of the name and the namespace.
func hostName(ifname string, g *ns.Guest) string {
	if name := "v" + ifname + "pl" + strconv.Itoa(g.PID); g.PID > 0 && len(name) <= nameMax {
		return name
	}
	return hashedName(ifname, g)
}

func hashedName(ifname string, g *ns.Guest) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %v", ifname, g.PID, g.Inode()))
	return fmt.Sprintf("vpl%x", sum[:6])
}

// nameMax is the longest interface name (IFNAMSIZ, without the NUL).
const nameMax = 15
