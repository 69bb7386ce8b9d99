//go:build linux

package lanes

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A cache is a folder of artefacts: folders that are made once, whole or not at all.
type cache struct{ dir string }

// openCache opens the cache in $PIPEWORK_LANES_CACHE or the user's cache directory.
func openCache() (cache, error) {
	dir := os.Getenv("PIPEWORK_LANES_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return cache{}, fmt.Errorf("find a cache directory (or set PIPEWORK_LANES_CACHE): %w", err)
		}
		dir = filepath.Join(user, "pipework-lanes")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return cache{}, err
	}
	if err := speakable(dir); err != nil {
		return cache{}, fmt.Errorf("cache directory (set PIPEWORK_LANES_CACHE): %w", err)
	}
	return cache{dir}, os.MkdirAll(dir, 0o755)
}

// artefact returns the folder that build made for name, now or in an earlier run.
// Several processes may ask at once: one builds, the others wait.
func (c cache) artefact(ctx context.Context, name string, build func(ctx context.Context, dir string) error) (string, error) {
	dir := filepath.Join(c.dir, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	unlock, err := lock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}

	unfinished := dir + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return "", err
	}
	if err := build(ctx, unfinished); err != nil {
		return "", err
	}
	return dir, os.Rename(unfinished, dir)
}

// lock locks the file name until unlock is called or the process ends.
func lock(ctx context.Context, name string) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for %s: %w", name, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// key names the contents of parts in a few letters.
func key(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d:", len(part))
		_, _ = io.WriteString(hash, part)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}
