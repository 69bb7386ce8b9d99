package link

import (
	"strings"
	"testing"
)

// TestHardwareNeverEnds tells what a guest can delete from what comes home: hardware
// that has a kind does.
func TestHardwareNeverEnds(t *testing.T) {
	for kind, want := range map[string]bool{"": false, "wlan": false, "ipoib": false, "can": false, "dsa": false, "unheard-of": false, "veth": true, "vlan": true, "dummy": true} {
		if r := (&nic{Kind: kind}); r.ends() != want {
			t.Errorf("%q ends: %v", kind, r.ends())
		}
	}
}

// TestRecordsOutliveTheService keeps the records out of the directory that the systemd
// unit calls its own: units of earlier versions lose it when the service stops.
func TestRecordsOutliveTheService(t *testing.T) {
	if nicDir == "/run/pipework" || strings.HasPrefix(nicDir, "/run/pipework/") {
		t.Errorf("%s is in the service's RuntimeDirectory", nicDir)
	}
}
