package config

import "strings"

// Watch is what the words after the verb watch say.
type Watch struct {
	Declarations
	Metrics string   // --metrics: the path of a socket to tell counters at; "" for none
	Engines []string // --engine: addresses of Docker's and Podman's sockets; nil: the usual ones
}

// ParseWatch reads the words after the verb watch. [errors.Is] tells its errors as
// [ErrUsage].
func ParseWatch(args []string) (Watch, error) {
	var out Watch
	w := scan(args, map[string]bool{"--trust-images": false, "--allow": true, "--key": true, "--metrics": true, "--engine": true})
	_, out.TrustImages = w.values["--trust-images"]
	if list, given := w.values["--allow"]; given {
		var err error
		out.Allow, err = ParseAllow(list)
		w.add(err)
	}
	if key, given := w.values["--key"]; given && key == "" {
		w.addf("--key is empty: write the pipework_key that containers must have, or leave it out")
	}
	if path, given := w.values["--metrics"]; given && !strings.HasPrefix(path, "/") {
		w.addf("--metrics needs the path of a socket, such as /run/pipework.sock, not %q", path)
	}
	if list, given := w.values["--engine"]; given {
		out.Engines = strings.Split(list, ",")
		for _, engine := range out.Engines {
			if !strings.HasPrefix(engine, "unix:///") {
				w.addf("--engine needs addresses such as unix:///run/podman/podman.sock, not %q", engine)
			}
		}
	}
	out.Key, out.Metrics = w.values["--key"], w.values["--metrics"]
	w.count(0, 0, "watch [--allow patterns] [--trust-images] [--key key] [--engine address,...] [--metrics socket]")
	return out, w.err()
}
