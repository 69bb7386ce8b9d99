package ovstest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// schema is where Debian's package puts the database's.
const schema = "/usr/share/openvswitch/vswitch.ovsschema"

// A Database is an ovsdb-server with an empty configuration.
type Database struct {
	Server   *Process
	Endpoint string // unix:...
	dir      string
	args     []string
}

// Start starts ovsdb-server, without root, with these arguments beside the
// usual ones. Where Open vSwitch is not installed, the test is skipped, unless
// PIPEWORK_REQUIRE promises "ovs". Only in a sandbox.
func Start(t testing.TB, args ...string) *Database {
	t.Helper()
	if _, err := os.Stat(schema); err != nil {
		skip(t, "apt-get install openvswitch-switch")
	}
	dir, err := os.MkdirTemp("/run", "ovs") // the sandbox's, which is gone with it; t.TempDir's is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	db := &Database{Endpoint: "unix:" + dir + "/db.sock", dir: dir, args: args}
	run(t, db.env(), "ovsdb-tool", "create", dir+"/conf.db", schema)
	db.Restart(t)
	db.Vsctl(t, "--no-wait", "init")
	return db
}

// Restart starts the server, again if it ran, with the same database.
func (db *Database) Restart(t testing.TB) {
	t.Helper()
	if db.Server != nil {
		db.Server.Kill()
		_ = os.Remove(db.dir + "/db.sock")
	}
	args := []string{db.dir + "/conf.db", "--remote=p" + db.Endpoint, "--unixctl=" + db.dir + "/ovsdb.ctl"}
	db.Server = start(t, nil, db.command(t, "ovsdb-server", append(args, db.args...)...))
	Wait(t, "ovsdb-server", func() error {
		c, err := net.Dial("unix", strings.TrimPrefix(db.Endpoint, "unix:"))
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

func (db *Database) env() []string {
	var env []string
	for _, name := range []string{"RUNDIR", "DBDIR", "LOGDIR", "SYSCONFDIR"} {
		env = append(env, "OVS_"+name+"="+db.dir)
	}
	return env
}

func (db *Database) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := program(name)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(db.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"-vsyslog:off", "-vconsole:warn"}, args...)...)
	cmd.Env = append(os.Environ(), db.env()...)
	cmd.Stdout, cmd.Stderr = log, log
	return cmd
}

// Standard makes the server the one at the standard socket, for the length of
// the test. Only in a sandbox.
func (db *Database) Standard(t testing.TB) {
	t.Helper()
	const path = "/run/openvswitch"
	if err := os.Symlink(db.dir, path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
}

// Vsctl runs ovs-vsctl, which tests look at the database by instead of the code
// under test.
func (db *Database) Vsctl(t testing.TB, args ...string) string {
	t.Helper()
	return run(t, db.env(), "ovs-vsctl", append([]string{"--timeout=30", "--db=" + db.Endpoint}, args...)...)
}

// Ofctl runs ovs-ofctl for a bridge: the command, the bridge, and these arguments.
func (db *Database) Ofctl(t testing.TB, command, bridge string, args ...string) string {
	t.Helper()
	return run(t, db.env(), "ovs-ofctl", append([]string{"--timeout=30", "-O", "OpenFlow14", command, "unix:" + db.dir + "/" + bridge + ".mgmt"}, args...)...)
}

// Flows are the flows of a bridge, sorted, without what changes by itself.
func (db *Database) Flows(t testing.TB, bridge string) string {
	t.Helper()
	lines := strings.Split(db.Ofctl(t, "dump-flows", bridge, "--no-stats", "--no-names"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Revalidated waits until the datapath forwards as the flows say: frames that are like those before
// them go their way for some time yet.
func (db *Database) Revalidated(t testing.TB) {
	t.Helper()
	run(t, db.env(), "ovs-appctl", "--timeout=30", "-t", db.dir+"/vswitchd.ctl", "revalidator/wait")
}

// Dump is everything that pipework may change, as text.
func (db *Database) Dump(t testing.TB) string {
	t.Helper()
	var all []string
	for _, columns := range []string{"Bridge name,ports,datapath_type,external_ids", "Port name,tag,trunks,vlan_mode,external_ids,other_config,interfaces", "Interface name,type,external_ids"} {
		table, names, _ := strings.Cut(columns, " ")
		lines := strings.Split(db.Vsctl(t, "--no-wait", "--format=csv", "--no-headings", "--columns="+names, "list", table), "\n")
		slices.Sort(lines)
		all = append(all, table+strings.Join(lines, "\n"))
	}
	return strings.Join(all, "\n")
}

// A Datapath says what ovs-vswitchd forwards frames with.
type Datapath int

const (
	// Dummy forwards nothing and needs no root: its ports are only rows.
	Dummy Datapath = iota
	// Userspace forwards in ovs-vswitchd; needs the machine's root and a network
	// namespace that has no other one.
	Userspace
	// Kernel needs the kernel's module openvswitch.
	Kernel
)

// Switch starts ovs-vswitchd inside a namespace (nil: this one). Where it cannot
// run, the test is skipped, unless PIPEWORK_REQUIRE promises "ovs", or in the
// case of Kernel a lane does.
func (db *Database) Switch(t testing.TB, d Datapath, at *ns.Handle) *Process {
	t.Helper()
	args := []string{db.Endpoint, "--unixctl=" + db.dir + "/vswitchd.ctl"}
	switch d {
	case Dummy:
		args = append(args, "--disable-system", "--enable-dummy=override")
	case Userspace:
		needRoot(t)
		args = append(args, "--disable-system")
	case Kernel:
		needKernel(t)
	}
	cmd := db.command(t, "ovs-vswitchd", args...)
	if shim := os.Getenv("PIPEWORK_CLOCKSHIM"); shim != "" {
		cmd.Env = append(cmd.Env, "LD_PRELOAD="+shim)
	}
	p := start(t, at, cmd)
	t.Cleanup(func() { db.exit(t, p) })
	db.Vsctl(t, "init") // waits until ovs-vswitchd has read the configuration
	if d == Userspace {
		nstest.Ran("ovs")
	}
	return p
}

// exit lets ovs-vswitchd remove what it made in the kernel.
func (db *Database) exit(t testing.TB, p *Process) {
	t.Helper()
	select {
	case <-p.ended:
		return // killed by the test
	default:
	}
	if _, err := output(db.env(), "ovs-appctl", "--timeout=30", "-t", db.dir+"/vswitchd.ctl", "exit", "--cleanup"); err != nil {
		t.Error(err)
	}
	if err := p.wait(testwait.Patience); err != nil {
		t.Error("ovs-vswitchd:", err)
	}
	if t.Failed() {
		text, _ := os.ReadFile(filepath.Join(db.dir, "ovs-vswitchd.log"))
		t.Logf("ovs-vswitchd:\n%s", text[max(0, len(text)-1000):])
	}
}

func needRoot(t testing.TB) {
	t.Helper()
	if !sandbox.IsRoot() {
		skip(t, "ovs-vswitchd's userspace datapath needs the machine's root")
	}
}

func needKernel(t testing.TB) {
	t.Helper()
	_, err := os.Stat("/sys/module/openvswitch")
	if err == nil && sandbox.IsRoot() {
		return
	}
	if os.Getenv("PIPEWORK_LANE") != "" { // which promises it
		t.Fatal("the kernel datapath is not there:", err)
	}
	t.Skip("the kernel datapath needs root and the module openvswitch: run in the lane uml")
}

func skip(t testing.TB, reason string) {
	t.Helper()
	if nstest.Required("ovs") {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// Wait waits until f has no error.
func Wait(t testing.TB, what string, f func() error) {
	t.Helper()
	var err error
	defer func() {
		if err != nil {
			t.Log(err)
		}
	}()
	testwait.Eventually(t, what, func() bool {
		err = f()
		return err == nil
	})
}
