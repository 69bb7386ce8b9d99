package link

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
)

// A parent is what macvlan and ipvlan links stand on: an interface of the host,
// or a VLAN of it.
type parent struct {
	name string
	vlan int // 1 to 4094; 0: none
}

// maxTag is the last VLAN tag (IEEE 802.1Q reserves 0 and 4095).
const maxTag = 4094

// String is the interface's name, with a VLAN "eth0@100", as the classic
// command line says it.
func (a parent) String() string {
	if a.vlan == 0 {
		return a.name
	}
	return a.name + "@" + strconv.Itoa(a.vlan)
}

// parseParent reads what String printed.
func parseParent(s string) parent {
	name, tag, _ := cutLast(s, "@")
	if vlan, err := strconv.Atoi(tag); err == nil && validTag(vlan) == nil {
		return parent{name, vlan}
	}
	return parent{name: s}
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func (a parent) validate() error {
	wrong := []error{validParent(a.name)}
	if a.vlan != 0 {
		wrong = append(wrong, validTag(a.vlan))
	}
	return errs.Join(wrong...)
}

func validParent(name string) error {
	if name == "" {
		return errors.New("a parent interface on the host is needed, such as eth0")
	}
	if strings.Contains(name, "@") {
		return fmt.Errorf("parent %q: a VLAN tag or partition key is given apart from the interface's name", name)
	}
	return ValidName(name)
}

func validTag(tag int) error {
	if tag < 1 || tag > maxTag {
		return fmt.Errorf("VLAN %d is out of range: 1 to %d", tag, maxTag)
	}
	return nil
}
