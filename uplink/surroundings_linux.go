package uplink

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// Surroundings are what a NIC's surroundings must allow for guests with MACs of their own to be
// reached by it, on a bridge or on a macvlan, one line each. Driver is as ethtool tells it.
func surroundings(nic, driver string) (notes []string) {
	if what := virtual[driver]; what != "" {
		notes = append(notes, fmt.Sprintf("%s is a NIC of %s", nic, what))
	}
	return append(notes, fmt.Sprintf("for guests in VLANs the switch's port that %s is at must be a trunk with these VLANs, and a switch with port security must let it have a MAC for each guest", nic))
}

// virtual says by a driver's name what a virtual switch must be told.
var virtual = map[string]string{
	"virtio_net":   "a virtual machine: its host must let frames of other MACs pass (libvirt: no filter clean-traffic or no-mac-spoofing, and <interface trustGuestRxFilters='yes'> on macvtap; Proxmox: the firewall's MAC filter off; OpenStack: port security off, or allowed-address-pairs; Google Cloud lets one MAC send: guests by ipvlan there)",
	"vmxnet3":      "VMware: its port group must accept promiscuous mode, MAC address changes and forged transmits (or MAC learning in place of promiscuous mode)",
	"hv_netvsc":    "Hyper-V: Set-VMNetworkAdapter -MacAddressSpoofing On; Azure lets one MAC send: guests by ipvlan there",
	"vif":          "Xen: the bridge of its dom0 must let frames of other MACs pass (XenServer: port locking mode unlocked)",
	"xen_netfront": "Xen: the bridge of its dom0 must let frames of other MACs pass (XenServer: port locking mode unlocked)",
	"ena":          "Amazon EC2, which lets only addresses of the instance's own, from its own MAC, send: guests by ipvlan, or by routes, with secondary addresses, are passed on",
	"gve":          "Google Cloud, which lets one MAC send: guests by ipvlan, with alias addresses, are passed on",
	"iavf":         vf, "i40evf": vf, "ixgbevf": vf, "igbvf": vf, "bnxt_en_vf": vf,
	"pcnet32": vbox, "e1000": vbox,
}

const (
	vf   = "a physical one's (SR-IOV): on its host ip link set PF vf N spoofchk off trust on"
	vbox = "a kind that VirtualBox and VMware emulate: where it is one, its virtual switch must allow promiscuous mode (VBoxManage modifyvm VM --nicpromisc1 allow-all; VMware: forged transmits, too)"
)

// driverOf is the name of the NIC's driver in the calling thread's namespace; "": nobody tells.
func driverOf(nic string) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = unix.Close(fd) }()
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, nic)
	if err != nil {
		return ""
	}
	return unix.ByteSliceToString(info.Driver[:])
}

// notes are the surroundings of the NIC.
func (j *job) notes(ctx context.Context, nic *rtnl.Link) []string {
	if kind, _ := (refuser{j}).wireless(ctx, nic); kind != 0 {
		return []string{nic.Name + " is wireless: an access point passes frames of the station's own MAC alone, but in 4-address mode: guests by ipvlan need neither"}
	}
	return surroundings(nic.Name, j.driver(ctx, nic))
}

// driver is the name of the NIC's driver; "": nobody tells.
func (m mover) driver(ctx context.Context, nic *rtnl.Link) (name string) {
	_ = m.do(ctx, func() error {
		name = driverOf(nic.Name)
		return nil
	})
	return name
}

// VirtualNICs are the surroundings of those NICs of the calling thread's namespace that a virtual
// switch is known to stand behind.
func VirtualNICs() (notes []string) {
	all, _ := net.Interfaces()
	for _, nic := range all {
		if what := virtual[driverOf(nic.Name)]; what != "" && what != vbox {
			notes = append(notes, fmt.Sprintf("%s is a NIC of %s", nic.Name, what))
		}
	}
	return notes
}
