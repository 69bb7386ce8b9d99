package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
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
	rows := [][]string{{"GUEST", "INTERFACE", "LINK", "HOST END", "MAC", "ADDRESSES", "SETTINGS", "DRIFT"}}
	for _, a := range all {
		rows = append(rows, []string{a.Guest.Name, a.Name, a.Link, a.HostName, a.MAC.String(), told.List("", a.Addrs), settings(a), told.List("", a.Drifts)})
	}
	for _, row := range rows {
		if !slices.ContainsFunc(all, func(a *pipework.Attachment) bool { return settings(a) != "" }) {
			row = slices.Delete(row, 6, 7) // a column of nothing
		}
		fmt.Fprintln(table, strings.Join(lines(row, "", Line), "\t"))
	}
	return table.Flush()
}

// settings are what is not as of every interface.
func settings(a *pipework.Attachment) string {
	var all []string
	for _, gateway := range a.Gateways {
		all = append(all, "via "+gateway.String())
	}
	if a.MTU != 0 && a.MTU != usualMTU {
		all = append(all, fmt.Sprintf("mtu %d", a.MTU))
	}
	if a.Pinned {
		all = append(all, "pin")
	}
	if a.Isolated {
		all = append(all, "isolated")
	}
	return strings.Join(all, ", ")
}

// usualMTU is Ethernet's.
const usualMTU = 1500
