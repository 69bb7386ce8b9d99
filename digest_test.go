package pipework

import "testing"

// TestDigestsOfVersion0 has digests that are on the marks of interfaces that version 0
// plugged in: they are known to be outdated, so that the interface itself is compared.
func TestDigestsOfVersion0(t *testing.T) {
	for _, digest := range []string{
		"8393ef7e16075b45", // bridge
		"c077b1debdc76dcc", // address twice, MAC
		"b05e5d335296ba82", // no address, U:
		"40196e8447e1a71f", // host name
		"b9b5b29f06436075", // no forward
		"b26f6d83aab0de75", // forward
		"b5a786b58c82e670", // gateways
		"a1809db705347921", // bridge with VLAN
	} {
		if !outdated(digest) {
			t.Errorf("%s is taken for one of this version", digest)
		}
	}
	if digest, err := full().digest(); err != nil || outdated(digest) {
		t.Errorf("%s, of this version, is outdated: %v", digest, err)
	}
}
