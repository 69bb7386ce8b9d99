package ocihook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A state is what a runtime writes to a hook's standard input: state.json of the OCI runtime
// specification.
type state struct {
	ID          string            `json:"id"`
	PID         int               `json:"pid"` // 0 at poststop
	Bundle      string            `json:"bundle"`
	Annotations map[string]string `json:"annotations"`
}

// most bounds what is read of a file.
const most = 8 << 20

// readJSON reads what is at most as long as a file may be.
func readJSON(r io.Reader, to any) error {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case err != nil:
		return err
	case len(b) > most:
		return errs.New(fs.ErrInvalid, "it has more than %d MiB", most>>20)
	}
	return json.Unmarshal(b, to)
}

func readFile(path string, to any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := readJSON(f, to); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readState reads the state of a container.
func readState(r io.Reader) (*state, error) {
	s := new(state)
	if err := readJSON(r, s); err != nil {
		return nil, fmt.Errorf("the runtime's state on standard input: %w", err)
	}
	if s.ID == "" || !filepath.IsAbs(s.Bundle) {
		return nil, errs.New(fs.ErrInvalid, "the runtime's state on standard input has no id, or no bundle: this is for a runtime to call, as a hook")
	}
	return s, nil
}

// container is the container, and which kind of guest it is. What it declares is in its Labels.
func (s *state) container() (ns.Kind, *ns.Container, error) {
	dir, last := filepath.Split(filepath.Clean(s.Bundle))
	dir = filepath.Clean(dir)
	switch up := filepath.Dir(dir); {
	case last == "userdata" && filepath.Base(dir) == s.ID && strings.HasSuffix(filepath.Base(up), "-containers"):
		c, err := s.podman(up)
		return ns.Podman, c, err
	case last != s.ID || !strings.HasPrefix(filepath.Base(up), "io.containerd.runtime."):
		return ns.Process, &ns.Container{ID: s.ID, Name: s.ID, Labels: s.Annotations, ImageKnown: true}, nil
	case filepath.Base(dir) == "moby":
		c, err := s.docker()
		return ns.Docker, c, err
	}
	name := filepath.Base(dir) + "/" + s.ID
	return ns.Containerd, &ns.Container{ID: name, Name: name, Labels: s.Annotations, ImageKnown: true}, nil
}

// podman is a container of Podman's, whose names are in the storage. It has the annotations of its
// image among its own.
func (s *state) podman(storage string) (*ns.Container, error) {
	c := &ns.Container{ID: s.ID, Name: s.ID, Labels: s.Annotations}
	own, err := listed(storage, s.ID)
	if own == nil || err != nil {
		return c, err
	}
	if len(own.Names) > 0 {
		c.Name = own.Names[0]
	}
	if c.Image = own.Image; c.Image == "" { // a directory is its root
		c.ImageKnown = true
		return c, nil
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	images := strings.TrimSuffix(storage, "-containers") + "-images"
	if filepath.Base(c.Image) != c.Image {
		return c, errs.New(fs.ErrInvalid, "%q is no ID of an image", c.Image)
	}
	err = readFile(filepath.Join(images, c.Image, "manifest"), &manifest)
	c.ImageKnown, c.ImageLabels = err == nil, manifest.Annotations
	return c, nil
}

// A stored is a container in a list of Podman's storage.
type stored struct {
	ID    string   `json:"id"`
	Names []string `json:"names"`
	Image string   `json:"image"`
}

// listed is the container in the storage's lists: since Podman 4.4 one for containers of `podman
// run --rm`, beside that of all others. nil: it is in neither, as where the storage is on a tmpfs.
func listed(storage, id string) (*stored, error) {
	for _, list := range []string{"containers.json", "volatile-containers.json"} {
		var all []stored
		if err := readFile(filepath.Join(storage, list), &all); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if i := slices.IndexFunc(all, func(one stored) bool { return one.ID == id }); i >= 0 {
			return &all[i], nil
		}
	}
	return nil, nil
}

// docker is a container of Docker's, as the engine's own files tell: it answers no question about
// a container that it is starting.
func (s *state) docker() (*ns.Container, error) {
	root, err := s.dockerRoot()
	if err != nil {
		return nil, err
	}
	var own struct {
		ID, Name, Image, Driver string
		Config                  struct {
			Hostname, Image string
			Labels          map[string]string
			Env             []string
		}
	}
	if err := readFile(filepath.Join(root, "containers", s.ID, "config.v2.json"), &own); err != nil {
		return nil, fmt.Errorf("this layout of Docker's files is not known: %w", err)
	}
	if own.ID != s.ID || own.Name == "" {
		return nil, errs.New(errors.ErrUnsupported, "this layout of Docker's files is not known: config.v2.json of %s is of another container, or has no name", s.ID)
	}
	c := &ns.Container{ID: s.ID, Name: strings.TrimPrefix(own.Name, "/"), Hostname: own.Config.Hostname, Labels: own.Config.Labels, Env: own.Config.Env, Image: own.Config.Image}
	var image struct {
		Config struct {
			Labels map[string]string
			Env    []string
		} `json:"config"`
	}
	algorithm, hash, _ := strings.Cut(own.Image, ":")
	if filepath.Base(hash) != hash || filepath.Base(algorithm) != algorithm || filepath.Base(own.Driver) != own.Driver {
		return c, nil
	}
	if readFile(filepath.Join(root, "image", own.Driver, "imagedb", "content", algorithm, hash), &image) == nil {
		c.ImageKnown, c.ImageLabels, c.ImageEnv = true, image.Config.Labels, image.Config.Env
	}
	return c, nil
}

// dockerRoot is the engine's data-root, which files that it mounts into each container are in.
func (s *state) dockerRoot() (string, error) {
	var config struct {
		Mounts []struct{ Source string } `json:"mounts"`
	}
	if err := readFile(filepath.Join(s.Bundle, "config.json"), &config); err != nil {
		return "", err
	}
	within := "/containers/" + s.ID + "/"
	for _, m := range config.Mounts {
		if root, _, found := strings.Cut(m.Source, within); found && filepath.IsAbs(root) {
			return root, nil
		}
	}
	return "", errs.New(errors.ErrUnsupported, "this layout of Docker's files is not known: no mount of %s is from %s", s.ID, within)
}
