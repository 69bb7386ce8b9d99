//go:build linux

package lanes

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// A Lane is one kind of guest.
type Lane struct {
	name    string
	needs   []need
	prepare func(context.Context, cache) (machine, error)
	refuses func(program string) error // says why the lane cannot run a program
}

// A machine is a guest that is ready to boot.
type machine struct {
	// command boots the guest with the files in box. What it and the guest's console
	// print is for people to read.
	command func(ctx context.Context, box box, memory int) *exec.Cmd
	early   []string // modules the initramfs has to bring along, from the folder modules
	modules string   // the folder that is /lib/modules in the guest
	load    []string // modules to load before the program starts
	up      []string // interfaces to set up before the program starts
	env     []string // what the program gets to know about the guest
}

// Names lists the lanes.
func Names() []string { return []string{umlLane.name, qemuLane.name} }

// ByName returns the lane that is called name, uml or qemu.
func ByName(name string) (Lane, error) {
	for _, l := range []Lane{umlLane, qemuLane} {
		if l.name == name {
			return l, nil
		}
	}
	return Lane{}, fmt.Errorf("no lane %q: there are %s", name, strings.Join(Names(), " and "))
}

// Prepare makes what the lane keeps in the cache directory, which Run does as well when
// it is not there. The qemu lane downloads a kernel package of some 70 megabytes.
func (l Lane) Prepare(ctx context.Context) error {
	_, err := l.machine(ctx)
	return err
}

func (l Lane) machine(ctx context.Context) (machine, error) {
	if err := l.Check(); err != nil {
		return machine{}, err
	}
	c, err := openCache()
	if err != nil {
		return machine{}, err
	}
	m, err := l.prepare(ctx, c)
	if err != nil {
		return machine{}, fmt.Errorf("prepare lane %s: %w", l.name, err)
	}
	return m, nil
}
