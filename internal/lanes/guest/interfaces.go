//go:build linux

package guest

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// runningWait bounds how long an interface may take to find its carrier.
const runningWait = 10 * time.Second

// bringUp sets the interface name up and waits until it is running.
func bringUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	defer unix.Close(fd)

	flags, err := interfaceFlags(fd, name)
	if err != nil {
		return err
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	ifr.SetUint16(flags | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("set interface %s up: %w", name, err)
	}
	return waitRunning(fd, name)
}

func waitRunning(fd int, name string) error {
	for end := time.Now().Add(runningWait); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		flags, err := interfaceFlags(fd, name)
		if err != nil {
			return err
		}
		if flags&unix.IFF_RUNNING != 0 {
			return nil
		}
	}
	return fmt.Errorf("interface %s found no carrier in %v", name, runningWait)
}

func interfaceFlags(fd int, name string) (uint16, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", name, err)
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr)
	if errors.Is(err, unix.ENODEV) {
		return 0, fmt.Errorf("interface %s: no module has made it: %w", name, err)
	}
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", name, err)
	}
	return ifr.Uint16(), nil
}
