package cli

import (
	"fmt"

	"github.com/go-pipework/pipework/keep"
)

// Detached tells what [keep.Plugger.Detach] did.
func Detached(r *keep.Record) string {
	at := r.Attachment
	if at == nil {
		return fmt.Sprintf("%s: %s was not plugged in any more, and is forgotten", r.Guest, r.Interface)
	}
	return fmt.Sprintf("%s: %s detached from %s", at.Guest.Name, at.Name, at.Link) + list(", back: ", at.Displaced)
}
