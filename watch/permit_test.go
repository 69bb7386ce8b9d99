//go:build linux

package watch_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// TestHoldsToThePolicy has two labels ask for what a policy permits, and does not; what it
// permits is pinned and isolated. What root typed is not looked at.
func TestHoldsToThePolicy(t *testing.T) {
	policy, err := config.ParsePolicy("policy.yaml", []byte("rules:\n  - who: {name: web, kind: docker}\n    addresses: 10.0.0.0/24\n    pin: true\n    isolated: true\n"))
	must(t, err)
	s, r := store(t), newRuntime(t)
	r.create("web", map[string]string{"pipework.eth1": "br9 10.0.0.2/24", "pipework.eth2": "br9 10.0.1.2/24"})
	r.begin("web")
	r.create("db", map[string]string{"pipework.eth1": "br9 10.0.0.3/24"})
	r.begin("db")
	p := r.plugger(s)
	typed(t, p, "br9 docker:web -i eth3 10.0.9.9/24")
	w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}, Declarations: config.Declarations{Policy: policy}})
	for _, text := range []string{
		"the address 10.0.1.2/24 may not be asked for (policy.yaml:2)", "no rule of policy.yaml is about db: nothing may be asked for",
	} {
		testwait.Eventually(t, text, func() bool { return strings.Contains(w.said.String(), text) })
	}
	testwait.Eventually(t, "the rest is attached", func() bool { return w.metrics()["attachments"] == "2" })
	web := r.Container(id("web"))
	has(t, web, "eth1", "eth3")
	at, err := pipework.Check(t.Context(), web, pipework.Spec{
		Link: link.Bridge{Name: "br9", Isolated: true}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}, Pin: true,
	})
	if err != nil || len(at.Drifts) > 0 {
		t.Errorf("%+v, %v", at, err)
	}
	w.end()
	detached(t, p, "docker:web", "eth3")
	r.remove("web")
	r.remove("db")
}
