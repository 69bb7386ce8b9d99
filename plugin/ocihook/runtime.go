package ocihook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/plugin"
)

// Runtime is the program pipework-runtime, an OCI runtime in the place of runc: it adds itself as
// hooks to the container that is to be created, and becomes runc. As one of those hooks, "hook
// STAGE", it is [Run]. Its own options stand first, as dockerd's runtimeArgs may have them:
//
//	--pipework-runc=/usr/sbin/runc   the runtime to become; "" is runc in PATH
//	--pipework-state-dir=DIR         where attachments are recorded
//	--pipework-policy=FILE           what containers may ask for
//	--pipework-allow=br*,ovs0        interfaces of the host that containers may ask for
//	--pipework-trust-images          honour what images declare, too
//
// It returns an error, or not at all.
func Runtime(ctx context.Context, args []string, stdin io.Reader) error {
	var o options
	words, err := o.take(args)
	if err != nil {
		return err
	}
	if len(words) == 2 && words[0] == "hook" {
		return o.hook(ctx, words[1], stdin)
	}
	if bundle, creates := creating(words); creates {
		if err := o.addHooks(bundle, args[:len(args)-len(words)]); err != nil {
			return fmt.Errorf("pipework-runtime: %w", err)
		}
	}
	return o.become(words)
}

// options are those before the words of runc.
type options struct {
	runc, state, policy string
	declarations        config.Declarations
}

// take takes the options, and returns the words after them.
func (o *options) take(args []string) ([]string, error) {
	for i, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		var err error
		switch name {
		case "--pipework-runc":
			o.runc = value
		case "--pipework-state-dir":
			o.state = value
		case "--pipework-policy":
			o.policy = value
		case "--pipework-allow":
			o.declarations.Allow, err = config.ParseAllow(value)
		case "--pipework-trust-images":
			o.declarations.TrustImages = true
		default:
			if strings.HasPrefix(name, "--pipework-") {
				err = errs.New(errors.ErrUnsupported, "pipework-runtime has no option %s", name)
				break
			}
			return args[i:], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// hook is one of the hooks.
func (o *options) hook(ctx context.Context, stage string, state io.Reader) error {
	if stage == createRuntime { // a policy that cannot be read keeps nothing from being taken away
		if err := o.readPolicy(); err != nil {
			return err
		}
	}
	h, err := plugin.Open(o.state, o.declarations)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	return Run(ctx, h, stage, state)
}

// readPolicy reads the policy that was named, or else the default one, where that is there.
func (o *options) readPolicy() (err error) {
	o.declarations.Policy, err = plugin.Policy(cmp.Or(o.policy, config.DefaultPolicy))
	if err == nil && o.declarations.Policy == nil && o.policy != "" {
		err = errs.New(fs.ErrNotExist, "there is no policy %s", o.policy)
	}
	return err
}

// creating is the bundle of the container that these words of runc create. runc's command is the
// first word that is neither an option nor the value of one; crun's options are known, too.
func creating(words []string) (bundle string, creates bool) {
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		if slices.Contains([]string{"log", "log-format", "log-level", "root", "criu", "rootless", "cgroup-manager"}, strings.TrimLeft(words[0], "-")) {
			words = words[1:] // the value is a word of its own
		}
		words = words[min(1, len(words)):]
	}
	if len(words) == 0 || !slices.Contains([]string{"create", "run", "restore"}, words[0]) {
		return "", false
	}
	bundle = "."
	for i, word := range words {
		name, value, given := strings.Cut(word, "=")
		switch {
		case !slices.Contains([]string{"--bundle", "-bundle", "--b", "-b"}, name):
		case given:
			bundle = value
		case i+1 < len(words):
			bundle = words[i+1]
		}
	}
	return bundle, true
}

// A hook entry of config.json.
type entry struct {
	Path    string   `json:"path"`
	Args    []string `json:"args,omitempty"`
	Env     []string `json:"env,omitempty"`
	Timeout int      `json:"timeout,omitempty"`
}

// addHooks writes the hooks into the bundle's config.json; everything else there stays as it is.
func (o *options) addHooks(bundle string, own []string) error {
	path := filepath.Join(bundle, "config.json")
	var spec, hooks map[string]json.RawMessage
	if err := readFile(path, &spec); err != nil {
		return err
	}
	if old := spec["hooks"]; old != nil {
		if err := json.Unmarshal(old, &hooks); err != nil {
			return fmt.Errorf("%s: hooks: %w", path, err)
		}
	}
	if spec == nil {
		return errs.New(fs.ErrInvalid, "%s is no object", path)
	}
	if hooks == nil {
		hooks = map[string]json.RawMessage{}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, stage := range []string{createRuntime, poststop} {
		var all []json.RawMessage
		if old := hooks[stage]; old != nil {
			if err := json.Unmarshal(old, &all); err != nil {
				return fmt.Errorf("%s: hooks.%s: %w", path, stage, err)
			}
		}
		e := entry{Path: self, Args: slices.Concat([]string{"pipework-runtime"}, own, []string{"hook", stage}), Env: []string{"PATH=" + os.Getenv("PATH")}, Timeout: 2 * int(Patience.Seconds())}
		for _, name := range []string{"OVS_RUNDIR", "PIPEWORK_STATE"} {
			if value, is := os.LookupEnv(name); is {
				e.Env = append(e.Env, name+"="+value)
			}
		}
		b, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if hooks[stage], err = json.Marshal(append(all, b)); err != nil {
			return err
		}
	}
	if spec["hooks"], err = json.Marshal(hooks); err != nil {
		return err
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return replace(path, b)
}

// replace writes the file in place of the one that is there, with its mode.
func replace(path string, b []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(path), "config.*.pipework") // no link that was there before
	if err != nil {
		return err
	}
	_, err = next.Write(b)
	err = errors.Join(err, next.Chmod(info.Mode().Perm()), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		_ = os.Remove(next.Name())
	}
	return err
}

// become has this process go on as runc.
func (o *options) become(words []string) error {
	path := o.runc
	if path == "" {
		var err error
		if path, err = exec.LookPath("runc"); err != nil {
			return fmt.Errorf("pipework-runtime: %w: say where it is with --pipework-runc=PATH", err)
		}
	}
	err := syscall.Exec(path, append([]string{"runc"}, words...), os.Environ())
	return fmt.Errorf("pipework-runtime: %s: %w", path, err)
}
