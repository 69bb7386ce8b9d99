// Package told bounds lists for people: a guest can make any number of addresses and routes.
package told

import (
	"fmt"
	"strings"
)

// Most is how many texts a list for people has.
const Most = 32

// Of are these texts; of more than Most the first ones, and how many more there are.
func Of(texts []string) []string {
	if len(texts) <= Most {
		return texts
	}
	shown := append([]string(nil), texts[:Most-1]...)
	return append(shown, fmt.Sprintf("%d more", len(texts)-len(shown)))
}

// List is the items behind their introduction, as many as people are told; no items are nothing.
func List[T any](intro string, items []T) string {
	if len(items) == 0 {
		return ""
	}
	texts := make([]string, len(items))
	for i, v := range items {
		texts[i] = fmt.Sprint(v)
	}
	return intro + strings.Join(Of(texts), ", ")
}
