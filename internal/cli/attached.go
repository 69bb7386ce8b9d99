package cli

import "github.com/go-pipework/pipework"

// ShowAttached prints what was attached. Its lease, if any, is kept where kept says so;
// otherwise keeper names what would keep it.
func (p Printer) ShowAttached(at *pipework.Attachment, kept bool, keeper string) error {
	text := at.String()
	if (at.Lease != nil || at.Lease6 != nil) && !at.Existed && !kept {
		text += ": " + keeper + " does"
	}
	return p.Show(at, text)
}
