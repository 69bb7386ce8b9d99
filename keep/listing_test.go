package keep

import "testing"

// TestMayBeOf finds the guest of a record that cannot be read by the name of its file.
func TestMayBeOf(t *testing.T) {
	for _, test := range []struct {
		file, guest string
		want        bool
	}{
		{"netns_web.eth1.fda6a923b2af.json", "netns:web", true},
		{"docker_web.eth1.fda6a923b2af.json", "web", true},
		{"containerd_k8s_io_web.eth1.fda6a923b2af.json", "k8s.io/web", true},
		{"netns_db.eth1.fda6a923b2af.json", "netns:web", false},
		{"docker_myweb.eth1.fda6a923b2af.json", "web", false},
		{"docker_web.eth1.fda6a923b2af.json", "eth1", false},
	} {
		if got := mayBeOf(test.file, test.guest); got != test.want {
			t.Errorf("%s of %s: %t", test.file, test.guest, got)
		}
	}
}
