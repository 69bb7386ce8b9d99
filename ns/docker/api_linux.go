package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
)

// What is asked of an engine is four questions of the Docker Engine API, whose answers
// hold these fields, with the names that versions 1.24 to 1.5x give them
// (docs.docker.com/reference/api/engine). docs/decisions/docker-api.md says why there
// is no client library.

// A container is the answer of /containers/ID/json.
type container struct {
	ID         string `json:"Id"`
	Name       string
	Image      string // its ID
	State      *state
	Config     *config
	HostConfig *struct{ NetworkMode string }
}

// A state is what a container does.
type state struct {
	Status     string // created, running, paused, restarting, removing, exited, dead
	Running    bool
	Restarting bool
	Dead       bool
	Pid        int
	ExitCode   int
	StartedAt  string
}

// A config is what a container was made with, or what an image says.
type config struct {
	Hostname string
	Image    string // as it was written
	Labels   map[string]string
	Env      []string
}

// A summary is one of the answer of /containers/json.
type summary struct {
	ID    string `json:"Id"`
	Names []string
}

// An image is the answer of /images/ID/json.
type image struct{ Config *config }

// A message is one event of /events.
type message struct {
	Action string
	Actor  struct{ ID string }
}

// The bounds of one answer, in bytes: of one that is read as a whole, which tells of a
// container or an image; of a list, of which a thousand containers take some; and of one
// container in that.
const (
	answerMax  = 4 << 20
	listMax    = 64 << 20
	summaryMax = 1 << 20
)

// The versions of the API that this package was written for: an engine that is newer is
// asked in the last one, and one that is older in its own.
const apiVersion = "1.51"

// A statusError is an answer of the engine that is no success.
type statusError struct {
	status int
	text   string
}

func (e statusError) Error() string { return "Error response from daemon: " + e.text }

func isNotFound(err error) bool {
	var s statusError
	return errors.As(err, &s) && s.status == http.StatusNotFound
}

// A brokenError says that the engine took the question and did not answer it.
type brokenError struct{ error }

func (e brokenError) Unwrap() error { return e.error }

// get asks the engine and reads the answer, which is JSON.
func (s *session) get(ctx context.Context, path string, query url.Values, answer any) error {
	resp, err := s.ask(ctx, path, query)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMax+1))
	switch {
	case err != nil:
		return brokenError{err}
	case len(body) > answerMax:
		return fmt.Errorf("an answer of more than %d bytes", answerMax)
	case resp.StatusCode != http.StatusOK:
		return statusError{resp.StatusCode, said(resp, body)}
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("an answer that is not the API's: %w", err)
	}
	return nil
}

// each asks the engine for a list of containers, and tells of one after the other: a list
// that does not end takes no memory.
func (s *session) each(ctx context.Context, query url.Values, tell func(summary) error) error {
	resp, err := s.ask(ctx, "/containers/json", query)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, answerMax))
		return statusError{resp.StatusCode, said(resp, body)}
	}
	whole := &io.LimitedReader{R: resp.Body, N: listMax}
	bounded := &io.LimitedReader{R: whole, N: summaryMax}
	dec := json.NewDecoder(bounded)
	begin, err := dec.Token()
	if err == nil && begin != json.Delim('[') {
		return errors.New("an answer that is not the API's: it is no list")
	}
	for err == nil && dec.More() {
		bounded.N = summaryMax // beyond what is read ahead
		var c summary
		if err = dec.Decode(&c); err != nil {
			break
		}
		if err := tell(c); err != nil {
			return err
		}
	}
	if err == nil {
		_, err = dec.Token() // the end of the list
	}
	switch {
	case whole.N == 0:
		return fmt.Errorf("an answer of more than %d bytes", listMax)
	case bounded.N == 0:
		return fmt.Errorf("a container of more than %d bytes in a list", summaryMax)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return brokenError{err}
	case err != nil:
		return fmt.Errorf("an answer that is not the API's: %w", err)
	}
	return nil
}

// said is what an engine says of a failure: a message in JSON, or text.
func said(resp *http.Response, body []byte) string {
	var m struct{ Message string }
	if json.Unmarshal(body, &m) == nil && m.Message != "" {
		return m.Message
	}
	if text := string(bytes.TrimSpace(body[:min(len(body), 200)])); text != "" {
		return text
	}
	return resp.Status
}

// ask sends one question in the version that both understand, and returns the answer as
// it begins.
func (s *session) ask(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	if err := s.negotiate(ctx); err != nil {
		return nil, err
	}
	return s.send(ctx, "/v"+s.version+path, query)
}

func (s *session) send(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	return s.roundTrip(req)
}

// negotiate finds the version of the API, once and where none is set: the older one of
// the engine's and ours. An engine that does not tell its version is asked in 1.24.
func (s *session) negotiate(ctx context.Context) error {
	if s.version != "" {
		return nil
	}
	resp, err := s.send(ctx, "/_ping", nil)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	s.version = older(resp.Header.Get("Api-Version"), apiVersion)
	return nil
}

// older is the older of two versions of the API; the first is what an engine says.
func older(theirs, ours string) string {
	major, minor, ok := strings.Cut(theirs, ".")
	_, last, _ := strings.Cut(ours, ".")
	a, err1 := strconv.Atoi(minor)
	b, err2 := strconv.Atoi(last)
	switch {
	case !ok || major != "1" || err1 != nil || err2 != nil || a < 0:
		return "1.24"
	case a < b:
		return theirs
	}
	return ours
}

// setVersion takes the version that the environment says, and refuses one that is none.
func (s *session) setVersion() error {
	if s.versionEnv == "" {
		return nil
	}
	text := strings.TrimPrefix(os.Getenv(s.versionEnv), "v")
	major, minor, _ := strings.Cut(text, ".")
	_, err1 := strconv.ParseUint(major, 10, 16)
	_, err2 := strconv.ParseUint(minor, 10, 16)
	if text == "" || err1 == nil && err2 == nil {
		s.version = text
		return nil
	}
	return errs.New(fs.ErrInvalid, "%s %q is no version of the API: it looks like 1.41", s.versionEnv, text)
}
