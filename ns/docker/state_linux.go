package docker

import (
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
)

// label is what the user calls the container: its name, which the engine
// writes with a slash before it.
func label(c *container) string {
	if name := strings.TrimPrefix(c.Name, "/"); name != "" {
		return name
	}
	return c.ID
}

// standstill says why a container has no process to open; nil when it has one.
// A restarting container counts as running in the engine's books, so that is
// asked first. The error tells its ID.
func (s *session) standstill(c *container) error {
	name, st := label(c), c.State
	switch {
	case st.Restarting:
		return errs.StoppedAs(c.ID, "container %s is restarting (status %d): see %s logs %s", name, st.ExitCode, s.program, name)
	case st.Running && st.Pid > 0:
		return nil
	case st.Dead, st.Status == "dead", st.Status == "removing":
		return errs.StoppedAs(c.ID, "container %s is being removed", name)
	case st.Status == "created":
		return errs.StoppedAs(c.ID, "container %s was never started: start it with %s start %s", name, s.program, name)
	case st.Status == "exited":
		return errs.StoppedAs(c.ID, "container %s has exited (status %d): start it with %s start %s", name, st.ExitCode, s.program, name)
	}
	return errs.StoppedAs(c.ID, "container %s has no process (state %q): start it with %s start %s", name, st.Status, s.program, name)
}
