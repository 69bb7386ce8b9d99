package cli

import (
	"runtime/debug"
	"testing"
)

func TestVersion(t *testing.T) {
	commit := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-11-28T05:00:00Z"}, {Key: "vcs.modified", Value: "true"}}
	for want, info := range map[string]debug.BuildInfo{
		"(devel)": {},
		"v1.2.3":  {Main: debug.Module{Version: "v1.2.3"}},
		"v1.2.3 (commit 0123456789ab, 2026-11-28T05:00:00Z, with changes)": {Main: debug.Module{Version: "v1.2.3"}, Settings: commit},
		"(devel) (commit 0123456789ab, 2026-11-28T05:00:00Z)":              {Settings: commit[:2]},
	} {
		if got := builtAs(&info).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
