//go:build linux

package lanes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// A debianKernel is a kernel that Debian has packaged.
type debianKernel struct {
	release string // as uname -r says, 6.1.0-13-amd64
	version string // of the package, 6.1.55-1
}

// installedKernel is the kernel whose headers linux-headers-amd64 has brought in.
func installedKernel(ctx context.Context) (debianKernel, error) {
	depends, err := tool(ctx, "/", "dpkg-query", "-W", "-f", "${Depends}", "linux-headers-amd64")
	if err != nil {
		return debianKernel{}, err
	}
	match := regexp.MustCompile(`linux-headers-(\S+) \(= ([^)\s]+)\)`).FindStringSubmatch(depends)
	if match == nil {
		return debianKernel{}, fmt.Errorf("linux-headers-amd64 depends on %q, not on the headers of one kernel", depends)
	}
	return debianKernel{match[1], match[2]}, nil
}

// kernel returns a folder with the file vmlinux and, in lib/modules, the modules of
// Debian's kernel, softhca among them. The kernel is that of the installed headers, for
// only it can load softhca; its package is unpacked, not installed.
func (c cache) kernel(ctx context.Context) (string, error) {
	k, err := installedKernel(ctx)
	if err != nil {
		return "", err
	}
	source, err := fixture("softhca.c")
	if err != nil {
		return "", err
	}
	name := "kernel-" + k.release + "-" + key(k.version, source, selection)
	dir, err := c.artefact(ctx, name, k.build)
	if err != nil {
		return "", fmt.Errorf("kernel %s: %w", k.release, err)
	}
	return dir, nil
}

// build makes in the folder dir what kernel promises.
func (k debianKernel) build(ctx context.Context, dir string) error {
	if err := k.unpack(ctx, dir); err != nil {
		return err
	}
	boot := filepath.Join(dir, "boot")
	image := filepath.Join(boot, "vmlinuz-"+k.release)
	if err := extractKernel(ctx, image, filepath.Join(dir, "vmlinux")); err != nil {
		return err
	}
	if err := os.RemoveAll(boot); err != nil {
		return err
	}
	if err := k.buildAdapter(ctx, filepath.Join(dir, "softhca")); err != nil {
		return err
	}
	_, err := tool(ctx, dir, "depmod", "-b", dir, k.release)
	return err
}

// unpack downloads the kernel's package and unpacks into dir what a guest may need of it.
func (k debianKernel) unpack(ctx context.Context, dir string) error {
	pkg := "linux-image-" + k.release + "=" + k.version
	if _, err := tool(ctx, dir, "apt-get", "-q", "download", pkg); err != nil {
		return fmt.Errorf("%w (if it is outdated: apt-get update && apt-get install linux-headers-amd64)", err)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if _, err := tool(ctx, dir, "dpkg-deb", "-x", deb, dir); err != nil {
			return err
		}
		if err := os.Remove(deb); err != nil {
			return err
		}
	}
	return removeUnused(dir, filepath.Join(dir, "lib", "modules", k.release, "kernel"))
}

// selection is changed with what removeUnused removes, for cached folders to be made
// anew.
const selection = "2"

// usedDrivers are those for hardware QEMU has, and for none.
var usedDrivers = map[string]bool{
	"block": true, "char": true, "infiniband": true, "net": true, "vhost": true, "virtio": true,
}

// removeUnused removes what no guest needs, three quarters of the package unpacked into
// dir. Its modules are in the folder modules.
func removeUnused(dir, modules string) error {
	drivers := filepath.Join(modules, "drivers")
	unused := []string{
		filepath.Join(dir, "usr"),
		filepath.Join(modules, "sound"),
		filepath.Join(drivers, "net", "ethernet"),
	}
	wireless, err := filepath.Glob(filepath.Join(drivers, "net", "wireless", "*"))
	if err != nil {
		return err
	}
	for _, path := range wireless { // all but the driver of radios that are not there
		if filepath.Base(path) != "mac80211_hwsim.ko" {
			unused = append(unused, path)
		}
	}
	entries, err := os.ReadDir(drivers)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !usedDrivers[entry.Name()] {
			unused = append(unused, filepath.Join(drivers, entry.Name()))
		}
	}
	for _, path := range unused {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// buildAdapter compiles the kernel module softhca in dir, a new folder beside lib, and
// puts it among the kernel's.
func (k debianKernel) buildAdapter(ctx context.Context, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := writeFixtures(dir, "softhca.c", "Kbuild"); err != nil {
		return err
	}
	headers := "/usr/src/linux-headers-" + k.release
	if _, err := tool(ctx, dir, "make", "-s", "-C", headers, "M="+dir, "modules"); err != nil {
		return fmt.Errorf("build softhca: %w", err)
	}
	extra := filepath.Join(filepath.Dir(dir), "lib", "modules", k.release, "extra")
	if err := os.Mkdir(extra, 0o755); err != nil {
		return err
	}
	const module = "softhca.ko"
	if err := os.Rename(filepath.Join(dir, module), filepath.Join(extra, module)); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
