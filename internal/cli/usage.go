package cli

// Usage is the text that --help prints: the classic syntax, the verbs and the
// flags.
const Usage = `Usage:
  pipework [--direct-phys] [--pin] [--isolated] <hostinterface> [-i containerinterface] [-l localinterface] [-a 4|6|inet|inet6]
           <guest> <address>/<prefix>[@gateway][,...] [macaddr|U:string][@vlan]
  pipework ... <guest> 0/0      [macaddr|U:string][@vlan]    (no address)
  pipework ... <guest> dhcp[:options] [macaddr|U:string][@vlan]   (options of udhcpc; dhcp:-f stays and keeps the lease;
                                                             dhcp6: DHCPv6; dhcp,dhcp6: both)
  pipework ... <guest> slaac    [macaddr|U:string][@vlan]    (wait for the addresses that a router advertises)
  pipework ... <guest> udhcpc|udhcpc-f|dhclient|dhclient-f|dhcpcd[:options] ...   (by that program; -f stays)
  pipework mac:<address> ...                                 (the host interface with that MAC address)
  pipework macvlan:<name>|bridge:<name>|ovs:<name> ...       (says outright what the host interface is)
  pipework vlan:<name> <guest> <address>/<prefix> @vlan      (a VLAN of a NIC, in the guest, without a macvlan)
  pipework veth:<name> ...                                   (a pair to the host; its end there is called so and has the gateway's address)
  pipework veth:<guest>/<name> ...                           (a pair to another guest, where its end is called so)
  pipework route|rule <guest> <words for ip route|rule>      (runs iproute2 in the guest's network)
  pipework tc <guest> <words for tc>
  pipework --wait[=address] [-i containerinterface] [--timeout 10s]
                                                      (inside a container: until the interface is up, or has an address)
  pipework --spec <file> <guest>                      (what the file says in YAML or JSON; - is standard input;
                                                       see docs/spec.md)
  pipework detach <guest> [-i containerinterface | --all] [--force]
                                                      (without -i: eth1, or ib0 of an InfiniBand line; --all: every interface;
                                                       --force: also bring a NIC home that this host has no record of)
  pipework list [<guest>...]
  pipework check [<guest>...]                         (compare with what was typed; exit status 1: not as declared)
  pipework gc [--dry-run]                             (put right what killed calls and dead guests left; bring NICs back)
  pipework watch [--allow patterns] [--trust-images] [--key key] [--engine address,...] [--metrics socket]
                                                      (plug containers in again when they start)

Guests:
  web                                                 (whatever is called so, if only one is; see docs/guests.md)
  docker:web, podman:web, podman:alice/web, containerd:default/web, lxc:web, machine:web, cgroup:web
  netns:blue, pid:1234, /proc/1234/ns/net

Flags:
  --json           print what was done, or found, as JSON
  -v               say what is done
  --resolv-conf=<path>
                   write the name servers that dhcp brings into this resolv.conf; with detach: take them out again
  --wait-guest 10s wait for a guest that is being created
  --probe 1s       look so long for other hosts that have an IPv4 address of the interface; also of check
  --state-dir DIR  where attachments are recorded (also PIPEWORK_STATE; /var/lib/pipework)
  --forward        accept the bridge's frames in Docker's firewall
  --no-forward     leave that firewall alone
  -h, --help       print this text
  --version        print the version
`
