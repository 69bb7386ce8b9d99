package cgroup

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-pipework/pipework/internal/process"
)

// A search gathers the directories of groups with this name.
type search struct {
	name  string
	found []string
}

// below looks at everything in a directory. A directory of the control groups'
// file system has as many links as directories in it, and two: most have none and
// need not be read.
func (s *search) below(ctx context.Context, dir string) {
	info, err := os.Lstat(dir)
	if err != nil || ctx.Err() != nil || info.Sys().(*syscall.Stat_t).Nlink == 2 {
		return
	}
	entries, _ := os.ReadDir(dir) // a group that has gone meanwhile is none
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), "lxc.monitor") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if e.Name() == s.name && trusted(path) {
			s.found = append(s.found, path)
		}
		s.below(ctx, path)
	}
}

// trusted tells whether nobody but root and we ourselves can have made the group.
func trusted(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil {
		return false
	}
	uid := info.Sys().(*syscall.Stat_t).Uid
	return uid == 0 || int(uid) == os.Geteuid()
}

// inner are the groups that guests' own first processes are put into by systemd,
// systemd-nspawn and Podman. Any other group below may be another guest's.
var inner = [...]string{"init.scope", "payload", "container"}

// oldest returns the process of a group that started first: of the group itself,
// or, where it has none, of those of its inner groups. An error satisfies
// fs.ErrNotExist when there is no process.
func oldest(dir string) (int, error) {
	pids, err := processes(dir)
	if err != nil {
		return 0, err
	}
	for _, name := range inner {
		if len(pids) > 0 {
			break
		}
		if pid, err := oldest(filepath.Join(dir, name)); err == nil {
			pids = append(pids, pid)
		}
	}
	return first(pids)
}

func first(pids []int) (int, error) {
	found, since := 0, uint64(0)
	for _, pid := range pids {
		at, err := process.Started(pid)
		if err == nil && (found == 0 || at < since || at == since && pid < found) {
			found, since = pid, at
		}
	}
	if found == 0 {
		return 0, os.ErrNotExist
	}
	return found, nil
}

// processes lists the processes of a group. Those that we cannot see, in another
// PID namespace, are 0 there.
func processes(dir string) (pids []int, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	for word := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil && pid > 0 && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
