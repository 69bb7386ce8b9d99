//go:build !linux

package uplinkverb

import "os/exec"

func ownSession(*exec.Cmd) {}
