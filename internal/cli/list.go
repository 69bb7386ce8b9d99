package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/told"
)

// ShowList prints the attachments, as a table where JSON was not asked for, and their warnings.
// It returns failed with what went wrong in that. Where that is why there are none, nothing is
// printed.
func (p Printer) ShowList(all []*pipework.Attachment, failed error) error {
	for _, at := range all {
		for _, text := range at.Warnings {
			p.Warn(fmt.Sprintf("%s: %s: %s", at.Guest.Name, at.Name, text))
		}
	}
	switch {
	case failed != nil && len(all) == 0:
		return failed
	case p.JSON || len(all) == 0:
		return errors.Join(failed, p.Show(append([]*pipework.Attachment{}, all...), "nothing is plugged in"))
	}
	return errors.Join(failed, WriteTable(p.Out, all))
}

// WriteTable writes the attachments as a table.
func WriteTable(w io.Writer, all []*pipework.Attachment) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "GUEST\tINTERFACE\tLINK\tHOST END\tMAC\tADDRESSES\tDRIFT")
	for _, a := range all {
		cells := []string{a.Guest.Name, a.Name, a.Link, a.HostName, a.MAC.String(), told.List("", a.Addrs), told.List("", a.Drifts)}
		fmt.Fprintln(table, strings.Join(lines(cells, "", Line), "\t"))
	}
	return table.Flush()
}
