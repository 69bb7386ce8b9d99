package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// withClient is a file that makes the command keep libovsdb's client.
const withClient = `package main

import (
	"context"
	"os"

	"github.com/ovn-org/libovsdb/client"
	"github.com/ovn-org/libovsdb/model"
)

func init() {
	if os.Getenv("PIPEWORK_MEASURE") == "" {
		return
	}
	db, _ := model.NewClientDBModel("Open_vSwitch", nil)
	if c, err := client.NewOVSDBClient(db); err == nil {
		_ = c.Connect(context.Background())
		_, _ = c.Transact(context.Background())
	}
}
`

// size builds the command as it is, and with libovsdb's client in it.
func size() error {
	dir, err := os.MkdirTemp("", "measure")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	extra, overlay := filepath.Join(dir, "extra.go"), filepath.Join(dir, "overlay.json")
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "cmd/pipework/libovsdb_measure.go"): extra}})
	if err != nil {
		return err
	}
	for path, text := range map[string][]byte{extra: []byte(withClient), overlay: replace} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	is, err := build(filepath.Join(dir, "is"))
	if err != nil {
		return err
	}
	with, err := build(filepath.Join(dir, "with"), "-overlay="+overlay)
	if err != nil {
		return err
	}
	fmt.Printf("\nThe command has %.1f MB, and with libovsdb's client %.1f MB.\n", float64(is)/1e6, float64(with)/1e6)
	return nil
}

// build builds the command, and returns how many bytes it has.
func build(out string, flags ...string) (int64, error) {
	args := append([]string{"build", "-o", out}, flags...)
	text, err := exec.Command("go", append(args, "github.com/go-pipework/pipework/cmd/pipework")...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("go build: %w: %s", err, text)
	}
	info, err := os.Stat(out)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
