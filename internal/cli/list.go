package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/go-pipework/pipework"
)

// ShowList prints the attachments, as a table where JSON was not asked for, and returns
// failed with what went wrong in that. Where that is why there are none, nothing is printed.
func (p Printer) ShowList(all []*pipework.Attachment, failed error) error {
	if failed != nil && len(all) == 0 {
		return failed
	}
	return errors.Join(failed, p.showList(all))
}

func (p Printer) showList(all []*pipework.Attachment) error {
	if p.JSON || len(all) == 0 {
		return p.Show(append([]*pipework.Attachment{}, all...), "nothing is plugged in\n")
	}
	return WriteTable(p.Out, all)
}

// WriteTable writes the attachments as a table.
func WriteTable(w io.Writer, all []*pipework.Attachment) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "GUEST\tINTERFACE\tLINK\tHOST END\tMAC\tADDRESSES\tDRIFT")
	for _, a := range all {
		cells := []string{a.Guest.Name, a.Name, a.Link, a.HostName, a.MAC.String(), list("", a.Addrs), list("", a.Drifts)}
		for i := range cells {
			cells[i] = Line(cells[i])
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}
