// Package dockertest gives a test a Docker engine of its own.
//
// The engine runs with Docker's default settings, bridge and firewall included,
// but in a network namespace that stands for the host and in a mount namespace
// with a /run, /etc and /sys of its own: it touches nothing of the machine but
// a control group, which goes with it. A supervisor, the test binary started
// again, looks after it. However the test ends, also by a panic, a timeout or
// SIGKILL, the supervisor notices, and the engine, its containers and every
// process they left behind end with it. (Only if the supervisor itself is
// killed may containers stay.)
//
// A package that uses it says so in its TestMain:
//
//	func TestMain(m *testing.M) {
//		dockertest.Supervise()
//		os.Exit(m.Run())
//	}
//
// It needs root, the packages docker.io (dockerd, containerd, runc), iptables
// and busybox-static, and overlayfs.
package dockertest
