package process

import (
	"os"
	"strings"
	"testing"
)

func TestContainerID(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for path, want := range map[string]string{
		"/docker/" + id:                                    id,
		"/system.slice/docker-" + id + ".scope":            id,
		"/machine.slice/libpod-" + id + ".scope/container": id,
		"/docker/" + id + "0":                              "",
		"/docker/" + id[:12]:                               "",
		"/docker/f" + id[1:]:                               "",
		"/ä" + id:                                          id,
		"":                                                 "",
	} {
		if got := containerID(path, id[:12]); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	if got := ContainerID(os.Getpid(), strings.Repeat("f", 12)); got != "" {
		t.Errorf("of no container: %q", got)
	}
}
