// Package lanes runs a Go test binary inside a small Linux guest, for kernel
// features the machine itself may lack. From the outside it looks like running the
// binary: same output, same exit status, same working directory.
//
// There are two lanes:
//
//   - uml is User-Mode Linux, a Linux kernel that is an ordinary program. It needs
//     neither root nor KVM, boots in less than a second and runs at the processor's own
//     speed. It has dummy, VLAN, ipvlan, macvlan, veth, bridges with VLAN filtering,
//     netem and the Open vSwitch datapath. It has no InfiniBand.
//   - qemu is QEMU without KVM, running Debian's kernel with the kernel's own IPoIB
//     driver on a software InfiniBand adapter (fixtures/softhca.c). It boots in a few
//     seconds, runs Go code about eight times slower, and has an ib0 that is up, two NICs
//     with no wire and a radio.
//
// The command lanerun is what go test is told to run binaries with:
//
//	go build -o lanerun ./internal/lanes/lanerun
//	go test -exec "$PWD/lanerun uml" ./link/...
//
// In the guest the program is root. It sees the machine's files, and may change
// them: the changes live in memory and are gone with the guest. /run, /dev/shm, /proc,
// /sys and /dev are the guest's own. There is one processor and no network but what
// the program makes; standard input is empty. Of the environment it gets HOME, PATH,
// GOTRACEBACK and what begins with PIPEWORK_, and in addition
//
//	PIPEWORK_LANE       the lane's name, uml or qemu
//	PIPEWORK_CLOCKSHIM  a library to LD_PRELOAD into ovs-vswitchd 3.1, which passes
//	                    no packet in the first ten seconds after boot without it
//
// Coverage and profiles asked for with go test's flags come out of the guest too; no
// other file does.
//
// Static binaries (CGO_ENABLED=0) and dynamic ones both run. Those built with -race run
// in qemu only. Kernel modules beyond those a lane loads are loaded on demand, as
// usual.
//
// What a lane needs beyond Debian packages is made once and kept in the folder
// pipework-lanes of the user's cache directory, or in $PIPEWORK_LANES_CACHE. It may be
// removed at any time.
package lanes
