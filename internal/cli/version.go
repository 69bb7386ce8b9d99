package cli

import (
	"cmp"
	"fmt"
	"runtime/debug"
)

// version, commit and date are set by the linker in packages (see make dist), as git tells
// them. Elsewhere they are what Go has put into the program.
var version, commit, date string

// A built program is of a version of the module, made of a commit.
type built struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"` // of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"`
}

// PrintVersion prints the version.
func (p Printer) PrintVersion() error {
	b := built{Version: version, Commit: commit, Date: date}
	if info, ok := debug.ReadBuildInfo(); ok && version == "" {
		b = builtAs(info)
	}
	return p.Show(b, "pipework "+b.String())
}

// builtAs reads what the go command has written: the version with go install, the commit
// where it built in a clone.
func builtAs(info *debug.BuildInfo) built {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	return built{info.Main.Version, settings["vcs.revision"], settings["vcs.time"], settings["vcs.modified"] == "true"}
}

// String is the version and, in parentheses, what is known of the commit.
func (b built) String() string {
	version := cmp.Or(b.Version, "(devel)")
	if b.Commit == "" {
		return version
	}
	changed := ""
	if b.Modified {
		changed = ", with changes"
	}
	return fmt.Sprintf("%s (commit %.12s, %s%s)", version, b.Commit, b.Date, changed)
}
