//go:build linux

package lanes

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"

	"github.com/go-pipework/pipework/internal/lanes/guest"
)

const umlModules = "/usr/lib/uml/modules"

// umlLane is User-Mode Linux as Debian packages it. Its programs have 39 bits of address
// space, which is too little for the race detector.
var umlLane = Lane{
	name: "uml",
	needs: []need{
		{"user-mode-linux", umlModules},
		{"gcc", "gcc"},
		{"libc6-dev", "/usr/include/string.h"},
		{"kmod", "modprobe"},
	},
	prepare: prepareUML,
	refuses: raceDetector,
}

func prepareUML(ctx context.Context, c cache) (machine, error) {
	kernel, err := program("linux.uml")
	if err != nil {
		return machine{}, err
	}
	shim, err := c.preloadLibrary(ctx, "umlshim")
	if err != nil {
		return machine{}, err
	}
	clock, err := c.preloadLibrary(ctx, "clockshim")
	if err != nil {
		return machine{}, err
	}
	return machine{
		command: func(ctx context.Context, b box, memory int) *exec.Cmd {
			cmd := exec.CommandContext(ctx, kernel, umlArgs(b, memory)...)
			cmd.Env = append(os.Environ(), "LD_PRELOAD="+shim)
			return cmd
		},
		modules: umlModules,
		load: []string{
			"tun", "dummy numdummies=0", "8021q", "veth", "bridge", "br_netfilter",
			"macvlan", "macvtap", "ipvlan", "sch_netem", "openvswitch",
		},
		env: []string{"PIPEWORK_CLOCKSHIM=" + clock},
	}, nil
}

// raceDetector refuses Go programs built with -race. What is no Go program passes.
func raceDetector(program string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil
	}
	if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return errors.New("the race detector needs more address space than User-Mode Linux has: test without -race, or in lane qemu")
	}
	return nil
}

// umlArgs is the kernel's command line. The blacklisted calls measure RAID algorithms
// nobody uses, which would be most of the time a boot takes.
func umlArgs(b box, memory int) []string {
	return []string{
		fmt.Sprintf("mem=%dM", memory),
		"initrd=" + b.initramfs(),
		"uml_dir=" + b.dir, "umid=guest",
		"con=null", "con0=null,fd:2", "quiet", "panic=-1",
		"initcall_blacklist=raid6_select_algo,calibrate_xor_blocks",
		guest.RootParam + "=hostfs:/",
		guest.ShareParam + "=hostfs:" + b.share(),
		"--", "init",
	}
}
