package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
)

// What Docker is asked. While it waits for an answer of the driver it does not answer what is
// about the container; of networks, and the list of containers, it tells within milliseconds.

// defaultEngine is Docker's socket.
const defaultEngine = "unix:///var/run/docker.sock"

// askTime bounds one question.
const askTime = 3 * time.Second

// ask reads Docker's answer. Where there is no such thing the error satisfies fs.ErrNotExist.
func (d *Driver) ask(ctx context.Context, path string, query url.Values, to any) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	socket := strings.TrimPrefix(cmp.Or(d.Engine, defaultEngine), "unix://")
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	at := url.URL{Scheme: "http", Host: "docker", Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return errs.New(errNoDocker, "ask Docker: %w", err) // also where its socket is not there
	}
	defer func() { _ = answer.Body.Close() }()
	switch answer.StatusCode {
	case http.StatusOK:
		return json.NewDecoder(io.LimitReader(answer.Body, 64<<20)).Decode(to)
	case http.StatusNotFound:
		return errs.New(fs.ErrNotExist, "Docker has no %s", path)
	}
	return fmt.Errorf("ask Docker for %s: %s", path, answer.Status)
}

// errNoDocker is that Docker does not answer.
var errNoDocker = errors.New("no answer")

// A netInfo is what Docker tells of a network.
type netInfo struct {
	Name       string
	Containers map[string]struct{ Name, EndpointID string }
}

func (d *Driver) netInfo(ctx context.Context, id string) (n netInfo, err error) {
	err = d.ask(ctx, "/networks/"+id, nil, &n)
	return n, err
}

// names are those of the endpoint's network and container.
func (d *Driver) names(ctx context.Context, e *endpoint) (net, container string, err error) {
	n, err := d.netInfo(ctx, e.Network)
	for _, c := range n.Containers {
		if c.EndpointID == e.ID {
			container = c.Name
		}
	}
	return n.Name, container, err
}

// starting is the name of the container that is about to be on the network, where only one can
// be that; else "". Docker does not tell which one it creates an endpoint for.
func (d *Driver) starting(ctx context.Context, network string) (name string) {
	n, err := d.netInfo(ctx, network)
	var all []struct {
		Names           []string
		NetworkSettings struct {
			Networks map[string]struct{ EndpointID string }
		}
	}
	if err == nil {
		err = d.ask(ctx, "/containers/json", url.Values{"all": {"1"}}, &all)
	}
	if err != nil {
		d.Log.Debug("containers", "error", err)
		return ""
	}
	for _, c := range all {
		on, is := c.NetworkSettings.Networks[n.Name]
		if _, gone := d.endpoint(on.EndpointID); !is || gone == nil { // Docker may tell of one that is gone
			continue
		}
		if len(c.Names) == 0 || name != "" {
			return ""
		}
		name = strings.TrimPrefix(c.Names[0], "/")
	}
	return name
}

// resolvPath is the file that the container has as its resolv.conf. Docker does not tell it of a
// container that is about to start, but where its files are, and which container it is.
func (d *Driver) resolvPath(ctx context.Context, e *endpoint) (string, error) {
	_, name, err := d.names(ctx, e)
	if err != nil {
		return "", err
	}
	var all []struct{ ID string }
	filter, _ := json.Marshal(map[string][]string{"name": {"^/" + regexp.QuoteMeta(name) + "$"}})
	if err := d.ask(ctx, "/containers/json", url.Values{"all": {"1"}, "filters": {string(filter)}}, &all); err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", errs.New(fs.ErrNotExist, "Docker tells of %d containers called %q", len(all), name)
	}
	var engine struct{ DockerRootDir string }
	if err := d.ask(ctx, "/info", nil, &engine); err != nil {
		return "", err
	}
	return filepath.Join(engine.DockerRootDir, "containers", all[0].ID, "resolv.conf"), nil
}
