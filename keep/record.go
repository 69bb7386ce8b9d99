package keep

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Version is that of the records that this package writes, and the only one that
// it reads.
const Version = 1

// A Record is one attachment: who asked for it, how, and how far it is. The guest
// and the interface together are its key.
type Record struct {
	// Version of the format; Put fills it.
	Version int `json:"version"`
	// Guest says whose interface it is. Its ID is kept beside its text, as guest_id.
	Guest ns.Ref `json:"guest"`
	// Interface is its name inside the guest, never empty.
	Interface string `json:"interface"`
	// Line are the words of the classic command line that plug it in, options
	// included, for config.Split and config.Parse.
	Line   []string `json:"line"`
	Source Source   `json:"source"`
	Phase  Phase    `json:"phase"`
	// Attachment is the result of the last Attach; nil before that.
	Attachment *pipework.Attachment `json:"attachment,omitempty"`
	// Before is the record that an Intent took the place of, to go back to; nil:
	// there was none. It has no Before itself.
	Before *Record `json:"before,omitempty"`
	// Changed is when the record was written; Put fills it.
	Changed time.Time `json:"changed"`
}

// A Source is who declared an attachment.
type Source string

// The sources of declarations.
const (
	FromCommand Source = "command" // typed; holds until detach
	FromLabel   Source = "label"   // of the container
	FromEnv     Source = "env"     // of the container
)

// A Phase is how far an attachment is.
type Phase string

// The phases. A record that stays in Intent or Detaching is of a call that was
// killed.
const (
	Intent    Phase = "intent"    // about to be made: nothing, some or all of it is there
	Attached  Phase = "attached"  // made, and declared until it is detached
	Detaching Phase = "detaching" // about to be taken away
)

// The bounds of a record. A file that exceeds sizeMax is nobody's record.
const (
	sizeMax  = 64 << 10
	wordMax  = 4096
	wordsMax = 64
)

// valid says all that is wrong with r.
func (r *Record) valid() error {
	wrong := []error{link.ValidName(r.Interface), validText("guest", r.Guest.String())}
	if r.Guest.String() == "" {
		wrong = append(wrong, errors.New("it names no guest"))
	}
	if r.Version != Version {
		return fmt.Errorf("version %d is not %d", r.Version, Version)
	}
	if !slices.Contains([]Source{FromCommand, FromLabel, FromEnv}, r.Source) {
		wrong = append(wrong, fmt.Errorf("source %q is unknown", r.Source))
	}
	if !slices.Contains([]Phase{Intent, Attached, Detaching}, r.Phase) {
		wrong = append(wrong, fmt.Errorf("phase %q is unknown", r.Phase))
	}
	wrong = append(wrong, validText("guest ID", r.Guest.ID))
	if len(r.Line) > wordsMax {
		wrong = append(wrong, fmt.Errorf("its line has %d words", len(r.Line)))
	}
	for _, word := range r.Line {
		wrong = append(wrong, validText("word", word))
	}
	if b := r.Before; b != nil {
		if b.Before != nil || b.key() != r.key() {
			wrong = append(wrong, errors.New("the record before it is another's"))
		}
		wrong = append(wrong, b.valid())
	}
	if err := errors.Join(wrong...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// validText refuses what is no word of a command line, or would garble a terminal.
func validText(what, text string) error {
	if len(text) > wordMax {
		return fmt.Errorf("%s has %d bytes", what, len(text))
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%s %q does not print", what, text)
	}
	return nil
}

// MarshalJSON writes the guest's ID beside the guest.
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(storedRecord{storedFields(r), r.Guest.ID})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Record) UnmarshalJSON(b []byte) error {
	var s storedRecord
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*r = Record(s.storedFields)
	r.Guest.ID = s.GuestID
	return nil
}

type storedFields Record

type storedRecord struct {
	storedFields
	GuestID string `json:"guest_id,omitempty"`
}

// encode is the record as it is kept: JSON with a line for each field.
func (r *Record) encode() ([]byte, error) {
	if err := r.valid(); err != nil {
		return nil, errs.New(fs.ErrInvalid, "record %s of %s: %w", r.Interface, r.Guest, err)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err == nil && len(b) >= sizeMax {
		err = fmt.Errorf("%d bytes are more than %d", len(b), sizeMax-1)
	}
	if err != nil {
		return nil, errs.New(fs.ErrInvalid, "record %s of %s: %w", r.Interface, r.Guest, err)
	}
	return append(b, '\n'), nil
}

// decode reads a record that is kept under this name.
func decode(name string, b []byte) (*Record, error) {
	if len(b) > sizeMax {
		return nil, fmt.Errorf("it has more than %d bytes", sizeMax)
	}
	var r Record
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("it is no record: %w", err)
	}
	if dec.More() {
		return nil, errors.New("more follows the record")
	}
	if err := r.valid(); err != nil {
		return nil, err
	}
	if want := r.key().file(); want != name {
		return nil, fmt.Errorf("it is the record of %s of %s, which is kept in %s", r.Interface, r.Guest, want)
	}
	return &r, nil
}

// A key is what a record is found by.
type key struct{ guest, iface string }

func keyOf(guest ns.Ref, iface string) key { return key{guest.String(), iface} }

func (r *Record) key() key { return keyOf(r.Guest, r.Interface) }

func (k key) sum() [sha256.Size]byte { return sha256.Sum256([]byte(k.guest + "\x00" + k.iface)) }

// suffix ends the names of all records.
const suffix = ".json"

// file is the name of the record's file: what a person can read of the key, in
// letters that cannot lead anywhere else, and twelve hex digits of its hash.
func (k key) file() string {
	guest := strings.Map(safe, k.guest)
	sum := k.sum()
	return fmt.Sprintf("%s.%s.%x%s", guest[:min(len(guest), guestMax)], strings.Map(safe, k.iface), sum[:sumSize], suffix)
}

// The lengths of the parts of a file's name: at most so many letters of the guest and of
// the interface (IFNAMSIZ, without the NUL), and so many bytes of the hash.
const (
	guestMax = 80
	ifaceMax = 15
	sumSize  = 6
)

// safe is the letter in a file's name that stands for r.
func safe(r rune) rune {
	if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_') {
		return r
	}
	return '_'
}
