//go:build linux

package guest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The files of the shared folder.
const (
	StdoutFile  = "stdout"  // what the program writes; standard error too when Job.Merged
	StderrFile  = "stderr"  // what the program writes to standard error
	StatusFile  = "status"  // a Status; written last
	FailureFile = "failure" // why the program could not be run, one line

	jobFile = "job.json"
)

// A Job is what the host asks of a guest. Paths are those of the host, where the
// guest sees the same files.
type Job struct {
	Args    []string // the program and its arguments
	Env     []string // its whole environment
	Dir     string   // its working directory
	Merged  bool     // standard error goes where standard output goes
	Results []string // files to hand back when the program has written them

	Modules string   // the folder that is /lib/modules in the guest
	Load    []string // kernel modules to load, as Modules.Load takes them; those missing are passed over
	Up      []string // interfaces that must come up before the program starts
}

// WriteJob leaves job in the shared folder dir.
func WriteJob(dir string, job Job) error {
	text, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("encode job: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, jobFile), text, 0o644)
}

func readJob(share *os.Root) (Job, error) {
	text, err := share.ReadFile(jobFile)
	if err != nil {
		return Job{}, err
	}
	var job Job
	if err := json.Unmarshal(text, &job); err != nil {
		return Job{}, fmt.Errorf("decode job: %w", err)
	}
	return job, nil
}

// ResultFile names the file of the shared folder that holds Job.Results[i].
func ResultFile(i int) string { return fmt.Sprintf("result%d", i) }

// handBack copies those results that exist to the shared folder.
func handBack(share *os.Root, results []string) error {
	for i, name := range results {
		err := copyOut(share, ResultFile(i), name)
		if err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("hand back %s: %w", name, err)
		}
	}
	return nil
}

func copyOut(share *os.Root, to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := share.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		dst.Close()
		return err
	}
	return dst.Close()
}
