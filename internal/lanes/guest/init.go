//go:build linux

package guest

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNotInit says that Init was called by a process that is not a guest's first.
var ErrNotInit = errors.New("only the kernel of a lane runs init")

// Init is the guest's first process. It returns only on a machine that is no guest:
// elsewhere it ends by turning the guest off. What goes wrong is left in FailureFile,
// and on the console when there is no shared folder yet.
func Init() error {
	if os.Getpid() != 1 || os.Getppid() != 0 {
		return ErrNotInit
	}
	share, err := boot()
	if err == nil {
		err = serve(share)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lane:", err)
		if share != nil {
			_ = share.WriteFile(FailureFile, []byte(err.Error()+"\n"), 0o644)
		}
	}
	return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// serve does the job in the shared folder.
func serve(share *os.Root) error {
	job, err := readJob(share)
	if err != nil {
		return err
	}
	if err := enterRoot(job.Modules); err != nil {
		return err
	}
	if err := furnish(job.Modules); err != nil {
		return err
	}
	if err := loadAll(job.Load); err != nil {
		return err
	}
	for _, name := range append([]string{"lo"}, job.Up...) {
		if err := bringUp(name); err != nil {
			return err
		}
	}
	status, err := runProgram(share, job)
	if err != nil {
		return err
	}
	if err := handBack(share, job.Results); err != nil {
		return err
	}
	return writeStatus(share, status)
}

// loadAll loads the modules names. What the kernel has built in or lacks is no error:
// the program will find out; the console tells.
func loadAll(names []string) error {
	mods, err := ReadModules("/lib/modules")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := mods.Load(name); err != nil {
			fmt.Fprintln(os.Stderr, "lane:", err)
		}
	}
	return nil
}
