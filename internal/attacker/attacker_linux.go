package attacker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/sandbox"
)

// name is what the program is called as, and env where it is told what it has to know.
const (
	name = "pipework-attacker"
	env  = "PIPEWORK_ATTACKER"
)

// A Knowledge is what the attacker knows of the others. A real one would have to guess.
type Knowledge struct {
	Marks    []string // ifaliases of others' interfaces
	Addrs    []string // of others, IPv4 and IPv6
	Indexes  []int    // of links of the host
	Hardware []int    // indexes of what NICs are cabled to: nobody can delete real ones
	Routes   int      // most routes of one attack
	Seed     uint64
}

// A Process is an attacker that is at work.
type Process struct {
	PID  int
	cmd  *exec.Cmd
	end  io.Closer
	said io.Reader
}

// Start starts an attacker. The calling program must begin with [Main]. Only for a sandbox.
func Start(k Knowledge) (*Process, error) {
	text, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = name
	cmd.Env = append(os.Environ(), env+"="+string(text))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	end, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start an attacker: %w", err)
	}
	p := &Process{PID: cmd.Process.Pid, cmd: cmd, end: end, said: said}
	if _, err := said.Read(make([]byte, 1)); err != nil {
		_ = cmd.Process.Kill()
		return nil, errors.Join(fmt.Errorf("start an attacker: it ended at once: %w", err), cmd.Wait())
	}
	return p, nil
}

// A Count is how often one thing was done, and how often that was refused.
type Count struct{ Done, Refused int }

// End ends the attacker, and returns what it has done.
func (p *Process) End() (map[string]Count, error) {
	_ = p.end.Close()
	done := map[string]Count{}
	err := json.NewDecoder(p.said).Decode(&done)
	return done, errors.Join(err, p.cmd.Wait())
}

// Main is the whole life of a process that [Start] started. In any other process it does
// nothing.
func Main() {
	if os.Args[0] != name {
		return
	}
	done, err := attack()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(done)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "attacker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// An attacker is the root of a guest.
type attacker struct {
	Knowledge
	*rand.Rand
	*netlink.Handle
	other *netlink.Handle // in another namespace of its own
	ns    netns.NsHandle  // of that
	made  int             // links, so far
}

func attack() (map[string]Count, error) {
	runtime.LockOSThread()
	a := &attacker{}
	if err := json.Unmarshal([]byte(os.Getenv(env)), &a.Knowledge); err != nil {
		return nil, err
	}
	a.Rand = rand.New(rand.NewPCG(a.Seed, 0))
	if err := a.open(); err != nil {
		return nil, err
	}
	fmt.Print(".")
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	go answerDHCP()
	done := map[string]Count{}
	for {
		select {
		case <-ended:
			return done, nil
		default:
		}
		m := moves[a.IntN(len(moves))]
		c := done[m.name]
		if m.do(a) != nil {
			c.Refused++
		} else {
			c.Done++
		}
		done[m.name] = c
		time.Sleep(time.Duration(a.IntN(5)) * time.Millisecond) // others are to have their turn, too
	}
}

// open opens the attacker's own namespace, and makes another one.
func (a *attacker) open() (err error) {
	if err := sandbox.StartNetwork(); err != nil {
		return err
	}
	if a.Handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return err
	}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends in the new namespace
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			a.ns, err = netns.Get()
		}
		made <- err
	}()
	if err := <-made; err != nil {
		return fmt.Errorf("make another namespace: %w", err)
	}
	a.other, err = netlink.NewHandleAt(a.ns, unix.NETLINK_ROUTE)
	return err
}
