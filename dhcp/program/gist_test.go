package program

import "testing"

// TestGist takes the line that tells most, and nothing that a terminal would obey.
func TestGist(t *testing.T) {
	for said, want := range map[string]string{
		"": "",
		"udhcpc: started\nudhcpc: no lease, failing\n":                                                                            "udhcpc: no lease, failing",
		"udhcpc: unrecognized option: Z\nUsage: udhcpc\n":                                                                         "udhcpc: unrecognized option: Z",
		"udhcpc: offered address is in use (got ARP reply), declining\nudhcpc: broadcasting discover":                             "udhcpc: offered address is in use (got ARP reply), declining",
		"DHCPDECLINE of 10.0.0.5 on eth1 to 255.255.255.255 port 67\nUnable to obtain a lease on first try (declined).  Exiting.": "DHCPDECLINE of 10.0.0.5 on eth1 to 255.255.255.255 port 67",
		"domain \x1b[31mred\u009b2J": "domain  [31mred 2J",
	} {
		if got := gist(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}
