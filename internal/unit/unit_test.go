//go:build linux

package unit

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
	"github.com/go-pipework/pipework/ovs"
)

const file = "../../contrib/systemd/pipework.service"

// restrictArg makes this program what systemd is to the service: it restricts itself as the
// unit says, and becomes the program that its arguments name.
const restrictArg = "pipework-restricted"

func TestMain(m *testing.M) {
	if os.Args[0] == restrictArg {
		fmt.Fprintln(os.Stderr, become(os.Args[1:]))
		os.Exit(1)
	}
	nstest.MainRoot(m)
}

// settings are those of the unit's section Service: the words of each.
func settings(path string) (map[string][]string, error) {
	text, err := os.ReadFile(path)
	words := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, is := strings.Cut(strings.TrimSpace(line), "="); is && !strings.HasPrefix(key, "#") {
			words[key] = strings.Fields(value)
		}
	}
	return words, err
}

// TestUnit runs watch as the unit does: with its capabilities, file systems, address families
// and system calls, and without new privileges. It has a guest plugged in that a record
// declares, with an IPv6 address and a gateway, and puts right what drifts. What of the unit
// only systemd can do is not tested: ProtectClock, ProtectHostname, PrivateTmp and the like.
func TestUnit(t *testing.T) {
	program := filepath.Join(t.TempDir(), "pipework")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/pipework").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	state := "/run/state" // of the sandbox; the service's is in /var/lib, which is the machine's
	store, err := keep.Open(state, append(link.Kinds(), ovs.Kind())...)
	must(t, err)
	name, _ := nstest.Guest(t)
	guest := ns.ParseRef("netns:" + string(name))
	spec := pipework.Spec{
		Name: "eth1", Link: link.Bridge{Name: "br1"},
		Addrs:    []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("fd00::2/64")},
		Gateways: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")},
	}
	addNIC(t)
	nic := pipework.Spec{Name: "eth2", Link: link.Phys{Device: "nic0"}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")}}
	for _, s := range []pipework.Spec{spec, nic} {
		must(t, store.Put(keep.Record{Guest: guest, Interface: s.Name, Spec: s, Source: keep.FromCommand, Phase: keep.Attached}))
	}

	var said bytes.Buffer
	unitPath, err := filepath.Abs(file)
	must(t, err)
	cmd := exec.Command("/proc/self/exe", unitPath, program, "--state-dir", state, "-v", "watch", "--engine", "unix:///nowhere")
	cmd.Args[0] = restrictArg
	cmd.Stdout, cmd.Stderr = &said, &said
	must(t, cmd.Start())
	defer func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("%v\n%s", err, said.String())
		}
	}()
	testwait.Eventually(t, "it is plugged in", func() bool {
		at, err := pipework.Check(t.Context(), name, spec)
		of, failed := pipework.Check(t.Context(), name, nic)
		return errors.Join(err, failed) == nil && len(at.Drifts)+len(of.Drifts) == 0
	})
	restricted(t, cmd.Process.Pid)
	testwait.Eventually(t, "it is detached by a call beside it", func() bool {
		p := keep.Plugger{Store: store, Target: find.Target}
		gone, err := p.DetachGuest(t.Context(), guest, keep.DetachOptions{})
		return err == nil && len(gone) == 2
	})
	if _, err := os.Stat("/usr/pipework-was-here"); err == nil {
		t.Error("it could write to /usr")
	}
}

// addNIC makes nic0, which stands for a NIC of the host's, for the length of the test.
func addNIC(t *testing.T) {
	a := netlink.NewLinkAttrs()
	a.Name = "nic0"
	v := &netlink.Veth{LinkAttrs: a, PeerName: "wire"}
	must(t, netlink.LinkAdd(v))
	must(t, netlink.LinkSetUp(v))
	t.Cleanup(func() { must(t, netlink.LinkDel(v)) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// restricted makes sure that the process is: that the test tests something.
func restricted(t *testing.T, pid int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	for _, line := range []string{"NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("not restricted: no %q in\n%s", line, text)
		}
	}
	_, rest, _ := strings.Cut(string(text), "CapBnd:\t")
	set, err := strconv.ParseUint(rest[:16], 16, 64)
	must(t, err)
	if set&(1<<unix.CAP_SYS_MODULE|1<<unix.CAP_SETUID|1<<unix.CAP_SYS_RAWIO) != 0 {
		t.Errorf("it has capabilities that the unit takes: %x", set)
	}
}

// TestRestrictions makes sure of what the restrictions refuse, by a shell's words.
func TestRestrictions(t *testing.T) {
	if !sandbox.IsRoot() {
		t.Log("as root of a user namespace")
	}
	unitPath, err := filepath.Abs(file)
	must(t, err)
	for _, words := range [][]string{
		{"touch", "/usr/pipework-was-here"}, {"touch", "/etc/pipework-was-here"}, {"chroot", "/", "true"},
	} {
		cmd := exec.Command("/proc/self/exe", append([]string{unitPath}, words...)...)
		cmd.Args[0] = restrictArg
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%v: permitted: %s", words, out)
		}
	}
}

// become restricts this process as the unit in args[0] says, and becomes the program args[1].
func become(args []string) error {
	runtime.LockOSThread()
	unit, err := settings(args[0])
	if err != nil {
		return err
	}
	program, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	filter, err := systemCalls(unit)
	if err != nil {
		return err
	}
	return errors.Join(
		readOnly(unit["ReadWritePaths"]), bound(unit["CapabilityBoundingSet"]),
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), seccomp(filter),
		unix.Exec(program, args[1:], os.Environ()),
	)
}

// readOnly is ProtectSystem=strict: every file system is read-only but /dev, /proc, /sys and
// these.
func readOnly(but []string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return err
	}
	for _, path := range but {
		if err := unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	var st unix.Statfs_t
	if err := unix.Statfs("/", &st); err != nil {
		return err
	}
	kept := uintptr(st.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_RELATIME)
	return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|kept, "")
}

// capabilities are those of linux/capability.h, by their numbers.
var capabilities = map[string]uintptr{
	"CAP_CHOWN": unix.CAP_CHOWN, "CAP_DAC_OVERRIDE": unix.CAP_DAC_OVERRIDE, "CAP_DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH, "CAP_FOWNER": unix.CAP_FOWNER,
	"CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_NET_RAW": unix.CAP_NET_RAW, "CAP_NET_BIND_SERVICE": unix.CAP_NET_BIND_SERVICE,
	"CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_SYS_PTRACE": unix.CAP_SYS_PTRACE,
}

// bound drops what is not among these from the bounding set. A program that root executes
// has the capabilities of that.
func bound(names []string) error {
	var keep []uintptr
	for _, name := range names {
		number, known := capabilities[name]
		if !known {
			return fmt.Errorf("the unit has %s: add it to the test", name)
		}
		keep = append(keep, number)
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if !slices.Contains(keep, c) {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
				return err
			}
		}
	}
	return nil
}

// systemCalls makes a filter of SystemCallFilter, whose sets systemd-analyze tells, and of
// RestrictAddressFamilies.
func systemCalls(unit map[string][]string) ([]unix.SockFilter, error) {
	numbers, err := numbersOfCalls()
	if err != nil {
		return nil, err
	}
	seen, allowed := map[string]bool{}, map[uint32]bool{}
	var add func(names []string) error
	add = func(names []string) error {
		for _, name := range names {
			if n, is := numbers[name]; is {
				allowed[n] = true
			}
			if !strings.HasPrefix(name, "@") || seen[name] {
				continue
			}
			seen[name] = true
			out, err := exec.Command("systemd-analyze", "syscall-filter", name).Output()
			if err != nil {
				return fmt.Errorf("systemd-analyze syscall-filter %s: %w", name, err)
			}
			_, members, _ := strings.Cut(string(out), "\n")
			var list []string
			for line := range strings.Lines(members) {
				if word := strings.TrimSpace(line); !strings.HasPrefix(word, "#") {
					list = append(list, word)
				}
			}
			if err := add(list); err != nil {
				return err
			}
		}
		return nil
	}
	// systemd always permits these, for the start of the program itself.
	if err := add(append([]string{"@default", "execve", "exit", "exit_group", "prctl"}, unit["SystemCallFilter"]...)); err != nil {
		return nil, err
	}
	return filterOf(allowed, numbers["socket"], unit["RestrictAddressFamilies"])
}

// numbersOfCalls reads the numbers of system calls from the kernel's header.
func numbersOfCalls() (map[string]uint32, error) {
	numbers := map[string]uint32{}
	files, _ := filepath.Glob("/usr/include/*/asm/unistd_64.h")
	if len(files) == 0 {
		return nil, fmt.Errorf("no unistd_64.h: apt-get install libc6-dev")
	}
	text, err := os.ReadFile(files[0])
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == "#define" {
			if n, err := strconv.ParseUint(words[2], 10, 32); err == nil {
				numbers[strings.TrimPrefix(words[1], "__NR_")] = uint32(n)
			}
		}
	}
	return numbers, err
}

var addressFamilies = map[string]uint32{"AF_UNIX": unix.AF_UNIX, "AF_NETLINK": unix.AF_NETLINK, "AF_PACKET": unix.AF_PACKET, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6}

// filterOf is the program of BPF: EPERM for calls that are not among these, and for sockets of
// other families.
func filterOf(allowed map[uint32]bool, socket uint32, families []string) ([]unix.SockFilter, error) {
	const nr, arg0 = 0, 16 // offsets in struct seccomp_data
	statement := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	permit := statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW)
	refuse := statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM))
	equals := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: 1}
	}
	p := []unix.SockFilter{statement(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, nr)}
	for n := range allowed {
		if n != socket {
			p = append(p, equals(n), permit)
		}
	}
	p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: socket, Jt: 1}, refuse, statement(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, arg0))
	for _, name := range families {
		family, known := addressFamilies[name]
		if !known {
			return nil, fmt.Errorf("the unit has %s: add it to the test", name)
		}
		p = append(p, equals(family), permit)
	}
	return append(p, refuse), nil
}

// seccomp has all threads filtered.
func seccomp(p []unix.SockFilter) error {
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(p)
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}
