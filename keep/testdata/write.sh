#!/bin/sh
# Writes the fixtures of a version of pipework: it types the command lines below
# and prints, as a tar file, what they leave.
#
#   records/    the state directory
#   marks       for each interface the guest, its name, and its ifalias
#   ports.json  rows of Open vSwitch with their external_ids
#
#   CGO_ENABLED=0 go build -o /tmp/pipework ./cmd/pipework
#   bin/lanerun uml -- /bin/sh keep/testdata/write.sh /tmp/pipework >uml.tar
#   bin/lanerun qemu -- /bin/sh keep/testdata/write.sh /tmp/pipework >qemu.tar
#
# records-v0, link/testdata/marks-v0.txt and ovs/testdata/rows-v0.json are
# those of the version before records and digests change. They are never written
# again: later versions have to read them. The records docker_* are what watch, and
# the detach of one, wrote for containers of the test's runtime; the marks at the end
# of marks-v0.txt are of Specs that no command line can say, see digest_test.go.
set -eu
: "${PIPEWORK_LANE:?run this by lanerun: it changes the network of the host that it runs on}"
PW=$1
OUT=$(mktemp -d)
export PIPEWORK_STATE=$OUT/records
exec 3>&1 >&2

guest() {
	ip netns add "$1"
	ip -n "$1" link set lo up
}

ifalias() { ip -n "$1" link show "$2" 2>/dev/null | sed -n 's/^ *alias //p'; }

# mark notes the mark of an interface of a guest.
mark() {
	printf '%s\t%s\t%s\n' "$1" "$2" "$(ifalias "$1" "$2")" >>"$OUT/marks"
}

# plug NAME INTERFACE LINE...: a guest of that name, which the line calls G.
plug() {
	name=$1 interface=$2
	shift 2
	[ -e "/run/netns/$name" ] || guest "$name"
	"$PW" "$@"
	mark "$name" "$interface"
}

# killed kills a line half-way: it waits for an answer to DHCP that does not come.
killed() {
	guest "$1"
	[ $# -eq 1 ] || "$PW" br1 "netns:$1" "$2"
	[ $# -eq 1 ] || ip -n "$1" link del eth1
	"$PW" br1 "netns:$1" dhcp &
	until [ "$(ifalias "$1" eth1)" ] || ! kill -0 $!; do sleep 0.05; done
	kill -9 $!
	mark "$1" eth1
}

nic() {
	ip link add "$1" address "$2" type veth peer "$1-wire"
	ip link set "$1-wire" up
	ip link set "$1" up
}

bridges() {
	plug bridge eth1 br1 netns:bridge 10.0.0.1/24
	plug bridge eth2 br1 -i eth2 netns:bridge 10.0.1.1/24,fd01::1/64 02:00:00:00:00:12
	plug noaddress eth1 br1 netns:noaddress 0/0 U:myhost.example.com
	plug label lan1 br1 -i lan1 -l vlabel netns:label 10.0.0.2/24
	plug noforward eth1 br1 --no-forward netns:noforward 10.0.0.3/24
	plug forward eth1 br1 --forward netns:forward 10.0.0.4/24
	plug added eth1 br1 netns:added 10.0.0.5/24
	plug added eth1 br1 netns:added 10.0.0.6/24
	plug family eth1 br1 -a 6 netns:family fd00::7/64
	plug path eth1 br1 /run/netns/path 10.0.0.8/24
	guest gateway
	ip -n gateway link add up0 type dummy
	ip -n gateway addr add 172.20.0.2/16 dev up0
	ip -n gateway addr add fd99::2/64 dev up0 nodad
	ip -n gateway link set up0 up
	ip -n gateway route add default via 172.20.0.1 metric 50
	ip -n gateway -6 route add default via fd99::1
	plug gateway eth1 br1 netns:gateway 10.0.0.9/24@10.0.0.254,fd00::9/64@fd00::1
	plug vlan eth1 br2 netns:vlan 10.2.0.1/24 @100
	guest bridge-pid
	nsenter --net=/run/netns/bridge-pid sleep 600 &
	plug bridge-pid eth1 br1 pid:$! 10.0.0.10/24
	killed intent
	killed again 10.0.0.11/24
}

nics() {
	nic eth0 02:00:00:00:00:a0
	ip addr add 192.0.2.1/24 dev eth0
	plug macvlan eth1 eth0 netns:macvlan 10.3.0.1/24
	plug macvlan-vlan eth1 eth0 netns:macvlan-vlan 10.3.1.1/24 @100
	ip link add link eth0 name eth0.7 type vlan id 7
	plug vlan-nic eth1 eth0.7 netns:vlan-nic 10.3.2.1/24
	plug mac eth1 mac:02:00:00:00:00:a0 netns:mac 10.3.0.2/24
	plug dummy eth1 dummy0 netns:dummy 10.4.0.1/24
	nic eth3 02:00:00:00:00:a3
	ip addr add 192.0.2.3/24 dev eth3
	ip addr add fd92::3/64 dev eth3 nodad
	ip link set eth3 alias 'the rack'
	ip link set eth3 mtu 1400
	plug phys eth1 --direct-phys eth3 netns:phys 10.5.0.1/24
	nic eth4 02:00:00:00:00:a4
	plug phys-mac eth1 --direct-phys mac:02:00:00:00:00:a4 -i eth1 netns:phys-mac 10.5.1.1/24@10.5.1.254
	ip link add link eth0 name eth0.8 type vlan id 8
	plug phys-vlan eth1 --direct-phys eth0.8 -i eth1 netns:phys-vlan 10.5.2.1/24
}

leases() {
	ip link add lan type bridge
	ip addr add 10.77.0.1/24 dev lan
	ip addr add fd77::1/64 dev lan nodad
	ip link add wire type veth peer wire-end
	ip link set wire master lan up
	ip link set wire-end up
	ip link set lan up
	dnsmasq -d -C /dev/null --port=0 --no-hosts --no-resolv --no-ping --bind-interfaces --interface=lan --except-interface=lo \
		--dhcp-leasefile="$OUT/leases" --dhcp-authoritative --enable-ra --ra-param=lan,4 \
		--dhcp-range=10.77.0.50,10.77.0.90,255.255.255.0,2h --dhcp-range=fd77::100,fd77::1ff,slaac,64,2h \
		--dhcp-option=option:dns-server,10.77.0.1 --dhcp-option=option:domain-search,example.com \
		--dhcp-option=option:mtu,1450 --dhcp-option=option:classless-static-route,0.0.0.0/0,10.77.0.1,10.78.0.0/16,10.77.0.2 &
	sleep 1
	guest dhcp
	ip -n dhcp link add up0 type dummy
	ip -n dhcp addr add 172.20.0.2/16 dev up0
	ip -n dhcp link set up0 up
	ip -n dhcp route add default via 172.20.0.1
	plug dhcp eth1 lan netns:dhcp dhcp
	plug dhcp-options eth1 lan netns:dhcp-options 'dhcp:-x hostname:web -V acme -r 10.77.0.80 -O 42 -x 0x3d:0111223344 -t 4'
	echo '# of the guest' >"$OUT/resolv.conf"
	plug resolv-conf eth1 lan --resolv-conf="$OUT/resolv.conf" netns:resolv-conf dhcp
	plug dhcp6 eth1 lan netns:dhcp6 dhcp6
	plug both eth1 lan netns:both dhcp,dhcp6
	plug slaac eth1 lan netns:slaac slaac
	plug beside eth1 lan netns:beside 10.77.0.9/24@10.77.0.1,dhcp6
	for stay in dhcp:-f udhcpc-f; do
		guest "${stay%%[:-]*}-f"
		"$PW" lan "netns:${stay%%[:-]*}-f" "$stay" &
		keeps="${keeps-} $!"
		until grep -qs '"attached"' "$PIPEWORK_STATE"/netns_"${stay%%[:-]*}"-f.*; do sleep 0.1; done
		mark "${stay%%[:-]*}-f" eth1
	done
	plug udhcpc eth1 lan netns:udhcpc udhcpc:-t5 || true
	plug dhclient eth1 lan netns:dhclient dhclient || true
	plug dhcpcd eth1 lan netns:dhcpcd dhcpcd || true
}

switch() {
	export OVS_RUNDIR=$OUT/ovs OVS_DBDIR=$OUT/ovs OVS_LOGDIR=$OUT/ovs OVS_SYSCONFDIR=$OUT/ovs
	mkdir "$OUT/ovs"
	ovsdb-tool create "$OUT/ovs/conf.db" /usr/share/openvswitch/vswitch.ovsschema
	ovsdb-server "$OUT/ovs/conf.db" --remote=punix:"$OUT/ovs/db.sock" -vconsole:off -vsyslog:off --pidfile --detach --no-chdir
	LD_PRELOAD=$PIPEWORK_CLOCKSHIM ovs-vswitchd "unix:$OUT/ovs/db.sock" -vconsole:off -vsyslog:off --pidfile --detach --no-chdir
	ovs-vsctl add-br ovs0
	plug ovs eth1 ovs0 netns:ovs 10.6.0.1/24
	plug ovs-vlan lan1 ovs0 -i lan1 -l vovs netns:ovs-vlan 10.6.0.2/24@10.6.0.254 @100
	plug ovs-made eth1 ovs7 netns:ovs-made 10.6.1.1/24
	plug ovs-dhcp eth1 ovs0 netns:ovs-dhcp 0/0
	ovs-vsctl --format=json --columns=name,tag,external_ids list Port >"$OUT/ports.json"
	ovs-vsctl --format=json --columns=name,external_ids list Bridge >"$OUT/bridges.json"
}

infiniband() {
	plug ipoib ib0 ib0 netns:ipoib 10.7.0.1/24
	plug ipoib-pkey ib1 ib0 -i ib1 netns:ipoib-pkey 10.7.1.1/24 @8001
	plug macvlan-wireless eth1 wlan0 netns:macvlan-wireless 10.8.0.2/24
	plug phys-wireless eth1 --direct-phys wlan0 netns:phys-wireless 10.8.0.1/24
	plug phys-ib eth1 --direct-phys ib0 netns:phys-ib 10.7.2.1/24
}

case $PIPEWORK_LANE in
uml)
	bridges
	nics
	switch
	leases
	;;
qemu) infiniband ;;
esac
cd "$OUT"
tar -c $(ls -d records marks ports.json bridges.json 2>/dev/null) >&3
[ -z "${keeps-}" ] || kill -9 $keeps
