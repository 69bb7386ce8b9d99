//go:build !linux

package cli

import "os/exec"

func ownSession(*exec.Cmd) {}
