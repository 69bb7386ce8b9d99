//go:build linux

package lanes

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/go-pipework/pipework/internal/lanes/guest"
)

// qemuLane is QEMU without KVM, with Debian's kernel and a software InfiniBand adapter.
var qemuLane = Lane{
	name: "qemu",
	needs: []need{
		{"qemu-system-x86", "qemu-system-x86_64"},
		{"linux-headers-amd64", "/usr/share/doc/linux-headers-amd64"},
		{"gcc", "gcc"},
		{"libc6-dev", "/usr/include/string.h"},
		{"make", "make"},
		{"kmod", "depmod"},
		{"xz-utils", "xz"},
	},
	prepare: prepareQEMU,
	refuses: func(string) error { return nil },
}

func prepareQEMU(ctx context.Context, c cache) (machine, error) {
	qemu, err := program("qemu-system-x86_64")
	if err != nil {
		return machine{}, err
	}
	kernel, err := c.kernel(ctx)
	if err != nil {
		return machine{}, err
	}
	clock, err := c.preloadLibrary(ctx, "clockshim")
	if err != nil {
		return machine{}, err
	}
	return machine{
		command: func(ctx context.Context, b box, memory int) *exec.Cmd {
			return exec.CommandContext(ctx, qemu, qemuArgs(kernel, b, memory)...)
		},
		early:   []string{"virtio_pci", "9pnet_virtio", "9p"},
		modules: filepath.Join(kernel, "lib", "modules"),
		load: []string{
			"tun", "dummy numdummies=0", "8021q", "veth", "bridge", "macvlan", "macvtap",
			"ipvlan", "ib_ipoib", "softhca", "virtio_net", "mac80211_hwsim radios=1", "openvswitch",
		},
		up:  []string{"ib0"},
		env: []string{"PIPEWORK_CLOCKSHIM=" + clock},
	}, nil
}

// qemuArgs is QEMU's command line. A q35 machine with the uncompressed kernel boots
// fastest; -cpu max has the random numbers Go asks for at once.
func qemuArgs(kernel string, b box, memory int) []string {
	params := []string{
		"console=ttyS0", "quiet", "panic=-1", "oops=panic", "mitigations=off",
		"random.trust_cpu=on", "tsc=reliable",
		guest.RootParam + "=9p:root", guest.ShareParam + "=9p:share",
		"--", "init",
	}
	return []string{
		"-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1",
		"-m", fmt.Sprintf("%dM", memory),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-kernel", filepath.Join(kernel, "vmlinux"),
		"-initrd", b.initramfs(),
		"-append", strings.Join(params, " "),
		"-fsdev", "local,id=root,path=/,security_model=none,multidevs=remap",
		"-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
		"-fsdev", "local,id=share,path=" + b.share() + ",security_model=none",
		"-device", "virtio-9p-pci,fsdev=share,mount_tag=share",
		"-device", "virtio-net-pci,romfile=,mac=52:54:00:12:34:56", // NICs with no wire
		"-device", "virtio-net-pci,romfile=,mac=52:54:00:12:34:57",
	}
}
