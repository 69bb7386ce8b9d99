//go:build linux

package guest

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Kernel parameters that tell the guest where its files are, written
// "hostfs:/path" or "9p:tag".
const (
	RootParam  = "lane.root"  // the host's root
	ShareParam = "lane.share" // the shared folder
)

// bootParams are the kernel parameters of the form name=value.
func bootParams() (map[string]string, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	params := make(map[string]string)
	for _, field := range strings.Fields(string(line)) {
		if name, value, ok := strings.Cut(field, "="); ok {
			params[name] = value
		}
	}
	return params, nil
}

// boot gets at the shared folder and the host's root. The shared folder is returned
// whenever there is one, also with an error, so that the error can be told.
func boot() (*os.Root, error) {
	if err := mountAll(kernelMounts); err != nil {
		return nil, err
	}
	params, err := bootParams()
	if err != nil {
		return nil, err
	}
	if err := loadEarly(); err != nil {
		return nil, err
	}
	if err := mountShare(params[ShareParam], shareDir, 0); err != nil {
		return nil, err
	}
	share, err := os.OpenRoot(shareDir)
	if err != nil {
		return nil, err
	}
	return share, mountHost(params[RootParam])
}

// loadEarly loads the modules the initramfs brings along, those the shares need.
func loadEarly() error {
	names, err := os.ReadFile(EarlyList)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	mods, err := ReadModules(EarlyModules)
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(names)) {
		if err := mods.Load(name); err != nil {
			return fmt.Errorf("initramfs: %w", err)
		}
	}
	return nil
}
