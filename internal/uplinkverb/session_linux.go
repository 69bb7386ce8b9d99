package uplinkverb

import (
	"os/exec"
	"syscall"
)

// ownSession has the program live on when this one, or its terminal, ends.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
