package keep

import (
	"bytes"
	"cmp"
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
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// version is that of the records that this package writes. It reads version 1, too,
// which held the words of a command line in place of a Spec.
const version = 2

// A Record is one attachment: who asked for it, how, and how far it is. The guest
// and the interface together are its key.
type Record struct {
	// Version of the format; Put fills it.
	Version int `json:"version"`
	// Guest says whose interface it is. Its ID is kept beside its text, as guest_id.
	Guest ns.Ref `json:"guest"`
	// Interface is its name inside the guest, never empty, and the Spec's Name, which Put
	// fills.
	Interface string `json:"interface"`
	// Spec, Program and HostMAC are what plugs it in: see [Declared].
	Spec    pipework.Spec `json:"spec"`
	Program *Program      `json:"program,omitempty"`
	HostMAC pipework.MAC  `json:"host_mac,omitempty"`
	Source  Source        `json:"source"`
	Phase   Phase         `json:"phase"`
	// Attachment is the result of the last Attach; nil before that. Of an Intent it is what
	// was there already, to be added to.
	Attachment *pipework.Attachment `json:"attachment,omitempty"`
	// Saved is what the Attachment's Saved was: the guest keeps it, and its root can delete it.
	Saved [][]byte `json:"saved_routes,omitempty"`
	// Namespace is the one that the Attachment is in: the guest may have got another since,
	// and something may keep this one. nil: it is not known.
	Namespace *ns.Instance `json:"namespace,omitempty"`
	// Before is the record that an Intent took the place of, to go back to; nil:
	// there was none. It has no Before itself.
	Before *Record `json:"before,omitempty"`
	// Since is when its gateways, or its lease, were declared last, also by typing the same again:
	// of several interfaces of a guest the latest has the default route. Zero in records of
	// earlier versions.
	Since time.Time `json:"since,omitzero"`
	// Changed is when the record was written; Put fills it.
	Changed time.Time `json:"changed"`

	mending bool         // see Declared; of one call
	line    *config.Line // where the Spec's Link has to be found by it; nil: it is known
}

// Declared is what the record declares. See [Plugger.Resolve] for what that is on the host
// just now.
func (r *Record) Declared() Declared {
	d := Declared{Spec: r.Spec, Program: r.Program, HostMAC: r.HostMAC}
	d.Spec.Saved = r.Saved
	return d
}

// Reattached is the record once its interface was attached again as at, by d: what a
// container declares, or what [Plugger.Resolve] made of the record.
func (r Record) Reattached(d Declared, at *pipework.Attachment) Record {
	if r.Source != FromCommand || r.line != nil { // else it goes on to say what it said
		r.declare(d)
	}
	r.Attachment, r.Saved, r.Guest.ID, r.Namespace = stored(at), at.Saved, cmp.Or(at.Guest.ID, r.Guest.ID), cmp.Or(at.Namespace, r.Namespace)
	return r
}

// declare has the record declare this.
func (r *Record) declare(d Declared) {
	r.Spec, r.Program, r.HostMAC, r.line = d.Spec, d.Program, d.HostMAC, nil
	r.Spec.Add, r.Spec.Last, r.Spec.Saved = false, false, nil // are of one call
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

// The bounds of a record. A file that exceeds sizeMax is no record.
const (
	sizeMax  = 256 << 10
	wordMax  = 4096
	wordsMax = 64
)

// valid says all that is wrong with r.
func (r *Record) valid() error {
	wrong := []error{link.ValidName(r.Interface), validText("guest", r.Guest.String())}
	if r.Guest.String() == "" {
		wrong = append(wrong, errors.New("it names no guest"))
	}
	if r.Version != version && r.Version != 1 {
		return fmt.Errorf("version %d is neither %d nor 1", r.Version, version)
	}
	if !slices.Contains([]Source{FromCommand, FromLabel, FromEnv}, r.Source) {
		wrong = append(wrong, fmt.Errorf("source %q is unknown", r.Source))
	}
	if !slices.Contains([]Phase{Intent, Attached, Detaching}, r.Phase) {
		wrong = append(wrong, fmt.Errorf("phase %q is unknown", r.Phase))
	}
	wrong = append(wrong, validText("guest ID", r.Guest.ID), r.validSpec())
	if b := r.Before; b != nil {
		if b.Before != nil || b.key() != r.key() {
			wrong = append(wrong, errors.New("the record before it is another's"))
		}
		wrong = append(wrong, b.valid())
	}
	if err := errs.Join(wrong...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// validSpec says what is wrong with the Spec and the program, as far as it concerns who
// reads records.
func (r *Record) validSpec() error {
	wrong := []error{}
	if r.Spec.Name != r.Interface {
		wrong = append(wrong, fmt.Errorf("its spec is of an interface %q", r.Spec.Name))
	}
	if l := r.Spec.Link; l != nil {
		wrong = append(wrong, validText("link", l.String()))
		if v, ok := l.(link.Validator); ok {
			wrong = append(wrong, v.Validate())
		}
	}
	if p := r.Program; p != nil {
		if len(p.Options) > wordsMax {
			wrong = append(wrong, fmt.Errorf("its program has %d options", len(p.Options)))
		}
		for _, word := range append([]string{p.Name}, p.Options...) {
			wrong = append(wrong, validText("word", word))
		}
	}
	return errs.Join(wrong...)
}

// validText refuses what would garble a terminal, or is longer than people type.
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
	return json.Marshal(storedRecord{recordFields(r), r.Guest.ID})
}

type recordFields Record

type storedRecord struct {
	recordFields
	GuestID string `json:"guest_id,omitempty"`
}

// UnmarshalJSON reads what MarshalJSON writes, with links of the kinds of package link.
func (r *Record) UnmarshalJSON(b []byte) error { return r.read(b, link.Kinds(), true) }

// fileRecord is a record as it is read: what takes kinds to be read is still JSON.
type fileRecord struct {
	storedRecord
	Spec   json.RawMessage `json:"spec"`
	Before json.RawMessage `json:"before"`
	Line   []string        `json:"line"` // of version 1
}

// read reads a record whose link is of one of the kinds. One before it has none before it.
//
//nolint:revive // of a record in a record
func (r *Record) read(b []byte, kinds []link.Kind, outer bool) error {
	var f fileRecord
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*r = Record(f.recordFields)
	r.Guest.ID = f.GuestID
	if len(f.Before) > 0 && string(f.Before) != "null" {
		if !outer {
			return errors.New("the record before it has one before it")
		}
		r.Before = new(Record)
		if err := r.Before.read(f.Before, kinds, false); err != nil {
			return err
		}
	}
	if r.Version == 1 {
		return r.readLine(f.Line)
	}
	if len(f.Spec) == 0 {
		return nil
	}
	var err error
	r.Spec, err = pipework.DecodeSpec(f.Spec, kinds...)
	return err
}

// current is the record as this version writes it.
func (r Record) current() Record {
	r.Version, r.Spec.Name = version, cmp.Or(r.Spec.Name, r.Interface)
	if r.Before != nil {
		before := *r.Before
		before.Version, before.Spec.Name = version, cmp.Or(before.Spec.Name, before.Interface)
		r.Before = &before
	}
	return r
}

// encode is the record as it is kept: JSON with a line for each field.
func (r *Record) encode() ([]byte, error) {
	if err := r.valid(); err != nil {
		return nil, errs.New(fs.ErrInvalid, "record %s of %s: %w", r.Interface, r.Guest, err)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	most := sizeMax
	if r.Phase == Intent { // what will be attached has to fit, too
		most -= storedMax
	}
	if err == nil && len(b) >= most {
		err = fmt.Errorf("%d bytes are more than %d", len(b), most-1)
	}
	if err != nil {
		return nil, errs.New(fs.ErrInvalid, "record %s of %s: %w", r.Interface, r.Guest, err)
	}
	return append(b, '\n'), nil
}

// decode reads a record that is kept under this name. One whose link is of none of the
// kinds is errors.ErrUnsupported.
func decode(name string, b []byte, kinds []link.Kind) (*Record, error) {
	if len(b) > sizeMax {
		return nil, fmt.Errorf("it has more than %d bytes", sizeMax)
	}
	var text json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&text); err != nil {
		return nil, fmt.Errorf("it is no record: %w", err)
	}
	if dec.More() {
		return nil, errors.New("more follows the record")
	}
	var r Record
	if err := r.read(text, kinds, true); err != nil {
		return nil, fmt.Errorf("it is no record: %w", err)
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
