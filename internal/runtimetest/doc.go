// Package runtimetest gives a package's tests a machine of their own, to run
// container runtimes on as they are run on any machine, under their usual paths.
//
// The tests run in a PID, mount, network and control-group namespace, with a /run
// and /var/lib of their own; a first process looks after orphans as init does.
// However the tests end, everything they started ends with them. What remains
// outside is a control group, which is removed.
//
// A package that uses it says so in its TestMain:
//
//	func TestMain(m *testing.M) { runtimetest.Main(m) }
//
// It needs root. For others the tests run in an ordinary sandbox (see package
// nstest), where [Require] skips those that need a runtime.
package runtimetest
