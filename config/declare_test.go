package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// web is a container as Docker Compose makes it.
func web() *ns.Container {
	return &ns.Container{
		ID: "0123456789abcdef0123456789abcdef", Name: "shop-web-12", Hostname: "www", ImageKnown: true,
		Labels: map[string]string{"com.docker.compose.project": "shop"},
	}
}

// told is what was made of each declaration, a line of text each.
func told(found []Declaration) (lines []string) {
	for _, d := range found {
		switch {
		case d.Err != nil:
			lines = append(lines, d.From+": "+d.Err.Error())
		default:
			lines = append(lines, d.From+" = "+d.Line.String())
		}
	}
	return lines
}

func TestDeclarations(t *testing.T) {
	for _, row := range []struct {
		name   string
		d      Declarations
		change func(c *ns.Container)
		want   []string
	}{
		{"nothing", Declarations{}, func(*ns.Container) {}, nil},
		{
			"labels, by the interface's name", Declarations{}, func(c *ns.Container) {
				c.Labels["pipework.eth2"] = "ovs0 10.0.0.2/24 @100"
				c.Labels["pipework.eth1"] = "br1 192.168.1.1/24@192.168.1.254"
				c.Labels["pipework.eth3"] = "--direct-phys eth7 -a 4 dhcp 02:00:00:00:00:01"
				c.Labels["pipeworks.eth9"] = "not ours"
			},
			[]string{
				"label pipework.eth1 = br1 -i eth1 shop-web-12 192.168.1.1/24@192.168.1.254",
				"label pipework.eth2 = ovs0 -i eth2 shop-web-12 10.0.0.2/24 @100",
				"label pipework.eth3 = --direct-phys eth7 -i eth3 -a 4 shop-web-12 dhcp 02:00:00:00:00:01",
			},
		},
		{
			"variables, sorted, with macros", Declarations{}, func(c *ns.Container) {
				c.Env = []string{
					"PATH=/bin", "pipework_cmd_b=pipework br1 -i eth2 @CONTAINER_ID@ 10.1.0.@INSTANCE@/24@10.1.0.1 U:@HOSTNAME@",
					"a_pipework_cmd=br-@COMPOSE_PROJECT_NAME@ @CONTAINER_NAME@ 0/0", "pipework_cmd=br1\t-i eth3\nshop-web-12   'dhcp:-x hostname:wb'",
				}
			},
			[]string{
				"variable a_pipework_cmd = br-shop -i eth1 shop-web-12 0/0",
				"variable pipework_cmd = br1 -i eth3 shop-web-12 'dhcp:-x hostname:wb'",
				"variable pipework_cmd_b = br1 -i eth2 shop-web-12 10.1.0.12/24@10.1.0.1 U:www",
			},
		},
		{
			"macros in labels", Declarations{}, func(c *ns.Container) { c.Labels["pipework.eth1"] = "br1 10.0.0.@INSTANCE@/24" },
			[]string{"label pipework.eth1 = br1 -i eth1 shop-web-12 10.0.0.12/24"},
		},
		{
			"the first of two counts", Declarations{}, func(c *ns.Container) {
				c.Labels["pipework.eth1"] = "br1 10.0.0.1/24"
				c.Env = []string{"pipework_cmd=br2 @CONTAINER_NAME@ 0/0", "pipework_cmd2=br3 -i eth2 @CONTAINER_NAME@ 0/0"}
			},
			[]string{
				"label pipework.eth1 = br1 -i eth1 shop-web-12 10.0.0.1/24",
				"variable pipework_cmd: label pipework.eth1 says already what eth1 is: name another interface",
				"variable pipework_cmd2 = br3 -i eth2 shop-web-12 0/0",
			},
		},
		{
			"what the image declares", Declarations{}, func(c *ns.Container) {
				c.Labels["pipework.eth1"], c.Labels["pipework.eth2"] = "br1 10.0.0.1/24", "br1 10.0.0.2/24"
				c.ImageLabels = map[string]string{"pipework.eth1": "br1 10.0.0.1/24", "pipework.eth2": "br9 10.9.9.9/24"}
				c.Env = []string{"pipework_cmd=br2 -i eth3 @CONTAINER_NAME@ 0/0", "pipework_cmd_own=br2 -i eth4 @CONTAINER_NAME@ 0/0"}
				c.ImageEnv = []string{"pipework_cmd=br2 -i eth3 @CONTAINER_NAME@ 0/0"}
			},
			[]string{"label pipework.eth2 = br1 -i eth2 shop-web-12 10.0.0.2/24", "variable pipework_cmd_own = br2 -i eth4 shop-web-12 0/0"},
		},
		{
			"what the image declares, trusted", Declarations{TrustImages: true}, func(c *ns.Container) {
				c.Labels["pipework.eth1"] = "br1 10.0.0.1/24"
				c.ImageLabels = map[string]string{"pipework.eth1": "br1 10.0.0.1/24"}
			},
			[]string{"label pipework.eth1 = br1 -i eth1 shop-web-12 10.0.0.1/24"},
		},
		{
			"an image's macro", Declarations{}, func(c *ns.Container) {
				c.ImageLabels = map[string]string{"com.docker.compose.project": "shop"}
				c.Labels["pipework.eth1"] = "br@COMPOSE_PROJECT_NAME@ 0/0"
			},
			[]string{"label pipework.eth1 = br -i eth1 shop-web-12 0/0"},
		},
		{
			"an image that is gone", Declarations{}, func(c *ns.Container) {
				c.ImageKnown = false
				c.Labels["pipework.eth1"] = "br1 10.0.0.1/24"
			},
			[]string{"label pipework.eth1: the container's image is gone, so that nobody can tell whether this is the image's: pull it again, or give --trust-images"},
		},
		{
			"without the key", Declarations{Key: "k 1"}, func(c *ns.Container) { c.Labels["pipework.eth1"] = "br1 0/0" }, nil,
		},
		{
			"the image's key", Declarations{Key: "k 1"}, func(c *ns.Container) {
				c.Labels["pipework.eth1"] = "br1 0/0"
				c.Env, c.ImageEnv = []string{"pipework_key=k 1"}, []string{"pipework_key=k 1"}
			}, nil,
		},
		{
			"with the key", Declarations{Key: "k 1"}, func(c *ns.Container) {
				c.Labels["pipework.eth1"], c.Env = "br1 0/0", []string{"pipework_key=k 1"}
			},
			[]string{"label pipework.eth1 = br1 -i eth1 shop-web-12 0/0"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := web()
			row.change(c)
			if diff := cmp.Diff(row.want, told(row.d.Of(c))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHostileDeclarations has values that somebody hopes to be evaluated, to
// reach another guest, or to become more words than they are.
func TestHostileDeclarations(t *testing.T) {
	for _, row := range []struct{ label, env, want string }{
		{label: "br1 $(reboot) 0/0", want: `"$(reboot)" is not an address`},
		{label: "br1 `reboot`", want: "address"},
		{label: "br1 0/0; reboot", want: `"0/0;"`},
		{label: "br1;reboot 0/0"}, // an odd name, and nothing else
		{label: "br1 10.0.0.1/24 && reboot", want: "too many words"},
		{label: "br1 $HOME/24", want: "address"},
		{label: "", want: "too few words"},
		{label: "br1", want: "too few words"},
		{label: "br1 -i eth9 0/0", want: "-i eth9 contradicts the label's name"},
		{label: "br1 otherguest 10.0.0.1/24", want: "address"},
		{label: "br1 0/0 02:00:00:00:00:01 more", want: "too many words"},
		{label: "br1 'open", want: "a quote is not closed"},
		{label: "br1 \"open\\\"", want: "a quote is not closed"},
		{label: "br\x00 0/0", want: "unprintable"},
		{label: "br\xff 0/0", want: "broken UTF-8"},
		{label: "br1\u202e 0/0", want: "unprintable"},
		{label: "../../etc 0/0", want: "holds a '/'"},
		{label: "br% 0/0", want: "holds a %"},
		{label: "--frobnicate br1 0/0", want: "unknown option"},
		{label: "--json br1 0/0", want: "unknown option"},
		{label: "--direct-phys=1 br1 0/0", want: "takes no value"},
		{label: strings.Repeat("x", 5000), want: "it has 5000 bytes"},
		{label: "@HOSTNAME@ br1 0/0", want: `@HOSTNAME@ stands for "--direct-phys", which would be an option`},
		{label: "br1 @COMPOSE_PROJECT_NAME@", want: `"10.0.0.1/24 02:00:00:00:00:02"`},
		{label: "@CONTAINER_ID@x 0/0"}, // no macro that is replaced twice, nor too long
		{label: "br1 'udhcpc:-s /a/program'", want: "a container may not choose a program that runs on the host (udhcpc): write dhcp"},
		{label: "veth:web0 8.8.8.9/24@8.8.8.8", want: "a container may not give the host an interface with addresses (veth:web0)"},
		{env: "veth:web0 @CONTAINER_NAME@ 10.0.0.2/24", want: "a container may not give the host an interface"},
		{label: "veth:db/eth5 10.9.0.1/30", want: "a container may not give another guest an interface (veth:db/eth5)"},
		{label: "br1 -l eth7 0/0", want: "a container may not call the host's end eth7: write -l pw-…"},
		{label: "br1 -l pw-web 0/0"},
		{env: "ovs0 -l docker0 @CONTAINER_NAME@ 0/0", want: "a container may not call the host's end docker0"},
		{label: "br1 dhclient-f", want: "a container may not choose a program"},
		{label: "br1 dhcp:-s@/a/program", want: "-s"},
		{env: "br1 @CONTAINER_NAME@ dhcpcd", want: "a container may not choose a program"},
		{env: "br1 db 10.0.0.1/24", want: `it names the guest "db": a container can speak for itself only`},
		{env: "br1 pid:1 10.0.0.1/24", want: `it names the guest "pid:1"`},
		{env: "br1 /proc/1/ns/net 10.0.0.1/24", want: `it names the guest "/proc/1/ns/net"`},
		{env: "br1 netns:blue 0/0", want: `it names the guest "netns:blue"`},
		{env: "br1 0123 10.0.0.1/24", want: `it names the guest "0123"`},
		{env: "br1 shop-web-1 10.0.0.1/24", want: `it names the guest "shop-web-1"`},
		{env: "--wait", want: `"--wait" plugs nothing in`},
		{env: "route @CONTAINER_NAME@ add 10.0.0.0/8 via 1.2.3.4", want: `"route" plugs nothing in`},
		{env: "pipework tc @CONTAINER_NAME@ qdisc", want: `"tc" plugs nothing in`},
		{env: "detach @CONTAINER_NAME@ 0/0 x", want: "MAC address"},
		{env: "br1 -i eth0/../x @CONTAINER_NAME@ 0/0", want: "holds a '/'"},
	} {
		c := web()
		c.Hostname, c.Labels["com.docker.compose.project"] = "--direct-phys", "10.0.0.1/24 02:00:00:00:00:02"
		if row.env != "" {
			c.Env = []string{"pipework_cmd=" + row.env}
		} else {
			c.Labels["pipework.eth1"] = row.label
		}
		found := Declarations{}.Of(c)
		if len(found) != 1 {
			t.Fatalf("%+v: %d declarations", row, len(found))
		}
		err := found[0].Err
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%q%q: %v, %v; want %s", row.label, row.env, found[0].Line, err, row.want)
		}
	}
}

// TestAllowedEnds has the host's ends called what --allow permits.
func TestAllowedEnds(t *testing.T) {
	c := web()
	c.Labels["pipework.eth1"], c.Labels["pipework.eth2"] = "br1 -l vweb 0/0", "br1 -l eth7 0/0"
	found := Declarations{Allow: Allow{"br*", "vweb"}}.Of(c)
	if len(found) != 2 || found[0].Err != nil || found[1].Err == nil {
		t.Errorf("%v", told(found))
	}
}

func TestTooManyDeclarations(t *testing.T) {
	c := web()
	for i := range 200 {
		c.Labels[fmt.Sprintf("pipework.e%03d", i)] = "br1 0/0"
	}
	found := Declarations{}.Of(c)
	if len(found) != maxDeclarations || found[maxDeclarations-2].Err != nil || found[maxDeclarations-1].Err == nil {
		t.Errorf("%d declarations, the last %+v", len(found), found[len(found)-1])
	}
}

func TestHostileLabelNames(t *testing.T) {
	c := web()
	c.Labels["pipework."], c.Labels["pipework.a/b"], c.Labels["pipework.x\n"], c.Labels["pipework.0123456789abcdef"] = "br1 0/0", "br1 0/0", "br1 0/0", "br1 0/0"
	for _, d := range (Declarations{}).Of(c) {
		if d.Err == nil || !printable(d.From+d.Err.Error()) {
			t.Errorf("%q: %v", d.From, d.Err)
		}
	}
}

func TestSplitWords(t *testing.T) {
	for _, row := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{" \t\r\n", nil},
		{"a  b\tc\nd", []string{"a", "b", "c", "d"}},
		{`'a b' "c d"e f\ g`, []string{"a b", "c de", "f g"}},
		{`'' ""`, []string{"", ""}},
		{`"a\"b\\c\d" '\'`, []string{`a"b\c\d`, `\`}},
		{`a\`, []string{`a\`}},
		{"$A `b` $(c) *;|&<>#!~{}", []string{"$A", "`b`", "$(c)", "*;|&<>#!~{}"}},
	} {
		got, err := split(row.text)
		if diff := cmp.Diff(row.want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", row.text, err, diff)
		}
	}
}

func TestAllow(t *testing.T) {
	allow, err := ParseAllow("br*,ovs0,eth[1-3]")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		backend link.Backend
		typed   string
		ok      bool
	}{
		{link.Bridge{Name: "br1"}, "br1", true},
		{link.Bridge{Name: "docker0"}, "docker0", false},
		{ovs.Bridge{Name: "ovs0"}, "ovs0", true},
		{ovs.Bridge{Name: "ovs01"}, "ovs01", false},
		{link.Macvlan{Parent: "eth2", VLAN: 7}, "eth2", true},
		{link.Macvlan{Parent: "eth2.7"}, "eth2.7", false},
		{link.Macvlan{Parent: "eth0"}, "mac:02:00:00:00:00:01", false}, // whatever it was called
		{link.Macvlan{Parent: "eth0"}, "brx", false},                   // an alternative name
		{link.Macvlan{Parent: "eth1"}, "mac:02:00:00:00:00:01", true},
		{link.Ipvlan{Parent: "wlan0"}, "br1", false},
		{link.IPoIB{Parent: "ib0"}, "br1", false},
		{link.Phys{Device: "eth0"}, "br1", false},
		{link.Phys{Device: "eth3"}, "eth3", true},
		{link.Dummy{}, "dummy0", false},
	} {
		err := allow.Check(row.backend, row.typed)
		if (err == nil) != row.ok || err != nil && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s by %s: %v", row.backend, row.typed, err)
		}
		if err := Allow(nil).Check(row.backend, row.typed); err != nil {
			t.Error("without --allow:", err)
		}
	}
	for _, bad := range []string{"", "br*,", "br[", "a/b", "a b", "x\n"} {
		if _, err := ParseAllow(bad); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzDeclare feeds values: none may panic, name another guest than the
// container, or be refused in more than one printable line; and what is honoured
// must be a line that a person could have typed.
func FuzzDeclare(f *testing.F) {
	for _, seed := range []string{
		"br1 192.168.1.1/24@192.168.1.254", "ovs0 -i eth1 @CONTAINER_NAME@ dhcp U:x@100", "pipework br1 shop-web-12 0/0", `br1 "a\"b" 'c`,
		"br1 @CONTAINER_ID@ 10.0.0.@INSTANCE@/24", "-- br1 @CONTAINER_NAME@ 0/0", "@HOSTNAME@ @COMPOSE_PROJECT_NAME@ @HOSTNAME@", "--direct-phys mac:02:00:00:00:00:01 0/0",
	} {
		f.Add(seed, "shop-web-12", "www")
	}
	f.Add("0 0123456789ab 0.0.0.1/0", "\xe01", "") // a name that is none
	f.Fuzz(func(t *testing.T, value, name, hostname string) {
		c := web()
		c.Name, c.Hostname = name, hostname
		c.Labels["pipework.eth1"], c.Env = value, []string{"pipework_cmd=" + value}
		for _, d := range (Declarations{}).Of(c) {
			if d.Err != nil {
				if strings.ContainsFunc(d.Err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%q: error %q is not one printable line", value, d.Err)
				}
				continue
			}
			if d.Line.Guest != name || d.Line.Name == "" {
				t.Errorf("%q: %+v", value, d.Line)
			}
			checkRoundTrip(t, d.Line)
		}
	})
}

// FuzzSplitWords wants what quote wrote to be read back.
func FuzzSplitWords(f *testing.F) {
	f.Add("a\x00b c\x00'\x00")
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(strings.ToValidUTF8(line, "?"), "\x00")
		quoted := make([]string, len(words))
		for i, word := range words {
			quoted[i] = quote(word)
		}
		got, err := split(strings.Join(quoted, " "))
		if diff := cmp.Diff(words, got); diff != "" || err != nil {
			t.Error(err, diff)
		}
	})
}
