//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// disk mounts a file system of its own on a folder, for the length of the script, or changes
// that: "disk small F", "disk full F", "disk readonly F", "disk writable F".
func disk(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[1])
	switch args[0] {
	case "small":
		ts.Check(os.MkdirAll(dir, 0o700))
		ts.Check(unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=700"))
		ts.Defer(func() { ts.Check(unix.Unmount(dir, unix.MNT_DETACH)) })
	case "full":
		f, err := os.Create(filepath.Join(dir, "lost+found")) // a name that records may be beside
		ts.Check(err)
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		ts.Check(f.Close())
		if !errors.Is(err, unix.ENOSPC) {
			ts.Fatalf("%v", err)
		}
	case "readonly":
		ts.Check(unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	case "writable":
		ts.Check(unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND, ""))
	default:
		ts.Fatalf("disk %s", args[0])
	}
}
