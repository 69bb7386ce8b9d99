package openflow

import (
	"encoding/binary"
	"fmt"
)

// A Refusal is an error that the switch sent: section 7.5.4.
type Refusal struct {
	Type, Code uint16
}

func newRefusal(b []byte) error {
	if len(b) < 4 {
		return errGarbage("an error that is cut off")
	}
	return &Refusal{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])}
}

// Error says what it is about.
func (r *Refusal) Error() string {
	if r.Version() {
		return "the bridge does not speak OpenFlow 1.4"
	}
	return fmt.Sprintf("the switch refuses it: OpenFlow error type %d, code %d", r.Type, r.Code)
}

// Version says whether there is no version that both speak: OFPET_HELLO_FAILED,
// OFPHFC_INCOMPATIBLE.
func (r *Refusal) Version() bool { return r.Type == 0 && r.Code == 0 }
