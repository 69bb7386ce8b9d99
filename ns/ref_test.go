package ns_test

import (
	"encoding/json"
	"testing"

	"github.com/go-pipework/pipework/ns"
)

// TestRef holds every text to the same text again, and to the guest that it names.
func TestRef(t *testing.T) {
	for text, want := range map[string]struct {
		ref       ns.Ref
		byID      string // with the ID "0123"; "": there is none
		base      string
		ephemeral bool
	}{
		"web":                   {ns.Ref{Name: "web"}, "", "web", false},
		"docker:web":            {ns.Ref{Kind: ns.Docker, Name: "web"}, "docker:0123", "web", false},
		"docker:/web":           {ns.Ref{Kind: ns.Docker, Name: "/web"}, "docker:0123", "web", false},
		"podman:alice/web":      {ns.Ref{Kind: ns.Podman, Name: "alice/web"}, "podman:alice/0123", "web", false},
		"containerd:k8s/web":    {ns.Ref{Kind: ns.Containerd, Name: "k8s/web"}, "containerd:0123", "web", false},
		"netns:blue":            {ns.Ref{Kind: ns.Netns, Name: "blue"}, "netns:0123", "blue", false},
		"netns:/proc/1/ns/net":  {ns.Ref{Kind: ns.Netns, Name: "/proc/1/ns/net"}, "netns:0123", "proc/1/ns/net", true},
		"/run/../proc/7/ns/net": {ns.Ref{Kind: ns.File, Name: "/run/../proc/7/ns/net"}, "", "run/../proc/7/ns/net", true},
		"/run/netns/a:b":        {ns.Ref{Kind: ns.File, Name: "/run/netns/a:b"}, "", "run/netns/a:b", false},
		"pid:1234":              {ns.Ref{Kind: ns.Process, Name: "1234"}, "pid:0123", "1234", true},
		"path:x":                {ns.Ref{Kind: ns.File, Name: "x"}, "", "x", false},
		":x":                    {ns.Ref{Name: ":x"}, "", ":x", false},
		"nosuch:x":              {ns.Ref{Kind: "nosuch", Name: "x"}, "nosuch:0123", "x", false},
		"":                      {ns.Ref{}, "", "", false},
		"docker:":               {ns.Ref{Kind: ns.Docker}, "docker:0123", "", false},
	} {
		t.Run(text, func(t *testing.T) {
			ref := ns.ParseRef(text)
			if ref != want.ref || ref.String() != text {
				t.Errorf("%#v, written %q", ref, ref)
			}
			byID, ok := ref.WithID("0123").ByID()
			if ok != (want.byID != "") || ok && byID.String() != want.byID {
				t.Errorf("by ID %q", byID)
			}
			if _, ok := ref.ByID(); ok {
				t.Error("there is no ID")
			}
			if ref.Base() != want.base || ref.Ephemeral() != want.ephemeral {
				t.Errorf("base %q, ephemeral %v", ref.Base(), ref.Ephemeral())
			}
			var back ns.Ref
			b, err := json.Marshal(ref)
			if err != nil || json.Unmarshal(b, &back) != nil || back != ref {
				t.Errorf("%s: %v, back %#v", b, err, back)
			}
		})
	}
}
