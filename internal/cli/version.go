package cli

import (
	"runtime/debug"
	"strings"
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
	return p.Show(b, "pipework %s\n", b)
}

// builtAs reads what the go command has written: the version with go install, the commit
// where it built in a clone.
func builtAs(info *debug.BuildInfo) built {
	b := built{Version: info.Main.Version}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is the version and, in parentheses, what is known of the commit.
func (b built) String() string {
	var of []string
	if b.Commit != "" {
		of = append(of, "commit "+b.Commit[:min(len(b.Commit), 12)])
	}
	if b.Date != "" {
		of = append(of, b.Date)
	}
	if b.Modified {
		of = append(of, "with changes")
	}
	text := b.Version
	if text == "" {
		text = "(devel)"
	}
	if len(of) > 0 {
		text += " (" + strings.Join(of, ", ") + ")"
	}
	return text
}
