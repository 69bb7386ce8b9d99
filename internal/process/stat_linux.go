package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Started tells when a process began, in clock ticks since the machine did.
func Started(pid int) (uint64, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// Stopped tells whether a process is stopped by a signal; one that has ended is not.
func Stopped(pid int) bool {
	fields, err := stat(pid)
	return err == nil && fields[0] == "T"
}

// stat returns the fields of /proc/PID/stat that follow the process's name, the
// state first.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return nil, fmt.Errorf("/proc/%d/stat is cut short", pid)
	}
	return fields, nil
}
