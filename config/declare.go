package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/ns"
)

// Declarations says which of the attachments that containers declare are
// honoured. The zero value honours what containers were given when they were
// made, on every interface of the host.
type Declarations struct {
	// TrustImages honours what images declare, too.
	TrustImages bool
	// Allow limits the interfaces of the host that may be asked for; the zero
	// value allows all. The host's ends of pairs (-l) may be called what a pattern
	// matches, and pw-….
	Allow Allow
	// Policy limits more, by who asks; nil allows all.
	Policy *Policy
	// Key is what a container must have as its pipework_key, if it is not "".
	Key string
}

// A Declaration is one attachment that a container asks for.
type Declaration struct {
	// From is where the container says so, such as "label pipework.eth1".
	From string
	// Line is what it says. Its Guest is the container's name, its Name never "".
	Line Line
	// Err is why it is not honoured; nil when it is. It is one line.
	Err error
}

// What a container can make us read.
const (
	maxDeclarations = 64
	maxDeclaration  = 4096 // bytes of one
)

const (
	labelPrefix = "pipework."
	keyName     = "pipework_key"
	cmdName     = "pipework_cmd"
	routeName   = "pipework_host_route"
)

// Of returns what the container declares, in the order in which it is to be done:
// labels such as
//
//	pipework.eth1=br1 192.168.1.1/24@192.168.1.254
//
// each of which is a classic command line without the guest, by the interface's
// name; then the variables whose name contains pipework_cmd, by their name, which
// hold whole command lines, as the image dreamcat4/pipework takes them. In both,
// @CONTAINER_NAME@, @CONTAINER_ID@ (12 characters), @HOSTNAME@, @INSTANCE@ (the
// last number in the name) and @COMPOSE_PROJECT_NAME@ stand for what the
// container has, within a word. Values are read as words, with quotes as a shell
// has them, and never run. Whom a line names as the guest can only be the
// container itself. Of two for the same interface the first counts.
//
// What the image declares, which is every label and variable that the image has
// with the same value, is left out without a word, unless d trusts images. Where
// the image is not there to be compared with, nothing is honoured.
func (d Declarations) Of(c *ns.Container) []Declaration {
	r := reader{container: c, labels: d.labels(c), env: d.env(c)}
	if c.Name == "" || !printable(c.Name) {
		return nil // no runtime has such
	}
	if d.Key != "" && cmp.Or(r.value(keyName), r.labels[keyName]) != d.Key {
		return nil
	}
	r.readLabels()
	r.readEnv()
	for i := range r.found {
		r.evaluate(i, d)
	}
	return r.found
}

// labels are those that count.
func (d Declarations) labels(c *ns.Container) map[string]string {
	own := map[string]string{}
	for name, value := range c.Labels {
		if theirs, has := c.ImageLabels[name]; d.TrustImages || !has || theirs != value {
			own[name] = value
		}
	}
	return own
}

// env are the variables that count, by name.
func (d Declarations) env(c *ns.Container) (own [][2]string) {
	for _, v := range c.Env {
		if name, value, ok := strings.Cut(v, "="); ok && (d.TrustImages || !slices.Contains(c.ImageEnv, v)) {
			own = append(own, [2]string{name, value})
		}
	}
	slices.SortStableFunc(own, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return own
}
