package ovsdb

import (
	"encoding/json"
	"fmt"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"
)

// plain is an operation that encodes as it is: libovsdb's does so twice.
type plain libovsdb.Operation

// request is the parameters of a transaction.
func request(database string, ops []libovsdb.Operation) []any {
	params := []any{database}
	for _, op := range ops {
		params = append(params, plain(op))
	}
	return params
}

// A Result is what one operation read.
type Result []Record

// First is the first row; one without columns where there is none.
func (r Result) First() Record {
	if len(r) == 0 {
		return nil
	}
	return r[0]
}

// results reads the answer to a transaction. Each operation must have done what
// was expected of it.
func results(all []libovsdb.OperationResult, ops []Op) ([]Result, error) {
	for i, r := range all {
		if r.Error == "" {
			continue
		}
		e := &Refusal{kind: r.Error, details: r.Details}
		if i < len(ops) {
			e.what, e.means = ops[i].Op+" "+ops[i].Table, ops[i].Means
		}
		return nil, e
	}
	if len(all) < len(ops) {
		return nil, fmt.Errorf("the OVSDB server answered %d of %d operations", len(all), len(ops))
	}
	list := make([]Result, len(ops))
	for i, op := range ops {
		r := all[i]
		lost := op.Op == libovsdb.OperationInsert && r.UUID.GoUUID != op.UUID
		if lost || op.Changes > 0 && op.Changes != r.Count {
			return nil, &Refusal{what: op.Op + " " + op.Table, kind: fmt.Sprintf("changed %d rows", r.Count), means: op.Means}
		}
		list[i] = records(r.Rows)
	}
	return list, nil
}

// decode reads the answer to a transaction of this many operations. It guards
// against libovsdb, which indexes what a server sent without a look at its length:
// rubbish shall cost an error, not the program.
func decode(answer json.RawMessage, ops int) (all []libovsdb.OperationResult, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the OVSDB server sent no proper answer: %s", printable(fmt.Sprint(p)))
		}
	}()
	var list []json.RawMessage
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, fmt.Errorf("the OVSDB server sent no proper answer: %w", err)
	}
	if len(list) > ops+1 { // the one more is the commit's
		return nil, fmt.Errorf("the OVSDB server answered %d operations, and was asked for %d", len(list), ops)
	}
	all = make([]libovsdb.OperationResult, len(list))
	for i, text := range list {
		if err := json.Unmarshal(text, &all[i]); err != nil {
			return nil, fmt.Errorf("the OVSDB server sent no proper answer: %s", printable(err.Error()))
		}
	}
	return all, nil
}

// A Record is a row as the server tells it.
type Record map[string]any

func records(rows []libovsdb.Row) Result {
	list := make(Result, len(rows))
	for i, r := range rows {
		list[i] = Record(r)
	}
	return list
}

// Text is a string column; a set of at most one counts as a string.
func (r Record) Text(column string) string {
	for _, s := range r.Strings(column) {
		return s
	}
	return ""
}

// Strings are the elements of a set of strings, or of a string column.
func (r Record) Strings(column string) []string {
	var list []string
	for _, v := range elements(r[column]) {
		if s, ok := v.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

// Bool is a boolean column.
func (r Record) Bool(column string) bool {
	b, _ := r[column].(bool)
	return b
}

// Row is the first row that a column refers to.
func (r Record) Row(column string) UUID {
	for _, id := range r.AllRows(column) {
		return id
	}
	return UUID{}
}

// AllRows are those that a column refers to.
func (r Record) AllRows(column string) []UUID {
	var list []UUID
	for _, v := range elements(r[column]) {
		if id, ok := v.(UUID); ok {
			list = append(list, id)
		}
	}
	return list
}

// Numbers are the elements of a set of integers, or of an integer column.
func (r Record) Numbers(column string) []int {
	var list []int
	for _, v := range elements(r[column]) {
		if f, ok := v.(float64); ok {
			list = append(list, int(f))
		}
	}
	return list
}

// Texts is a column that maps strings to strings.
func (r Record) Texts(column string) map[string]string {
	m, _ := r[column].(libovsdb.OvsMap)
	list := make(map[string]string, len(m.GoMap))
	for key, value := range m.GoMap {
		list[fmt.Sprint(key)] = fmt.Sprint(value)
	}
	return list
}

func elements(value any) []any {
	if s, ok := value.(libovsdb.OvsSet); ok {
		return s.GoSet
	}
	return []any{value}
}
