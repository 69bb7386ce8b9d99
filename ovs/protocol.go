package ovs

import (
	"crypto/rand"
	"encoding/json"
	"fmt"

	"github.com/ovn-org/libovsdb/ovsdb"
)

// This is the one file that names libovsdb: its types are the protocol's
// operations and values. Its client is not used: a garbled answer makes that
// panic in a goroutine of its own, and connecting reads the whole schema.

// database is the only one that pipework speaks of.
const database = "Open_vSwitch"

// A uuid names a row.
type uuid = ovsdb.UUID

// newUUID is for a row that is going to be inserted: who knows it beforehand can
// take the row back without having seen an answer (Open vSwitch 2.13 and later).
func newUUID() uuid {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return uuid{GoUUID: fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])}
}

// An operation is one of a transaction's, with what to expect of it.
type operation struct {
	ovsdb.Operation
	rows   int   // how many rows it must change
	refuse error // what it means when it does not hold, or changes another number
}

// columns are a row's, by name: string, int, uuid, []int, []string, []uuid, or
// map[string]string.
type columns map[string]any

// insert makes a row.
func insert(table string, id uuid, row columns) operation {
	return operation{Operation: ovsdb.Operation{Op: ovsdb.OperationInsert, Table: table, UUID: id.GoUUID, Row: row.encode()}}
}

// update changes columns of one row.
func update(table string, row uuid, change columns) operation {
	return operation{rows: 1, Operation: ovsdb.Operation{
		Op: ovsdb.OperationUpdate, Table: table, Where: isRow(row), Row: change.encode(),
	}}
}

// add puts a row into a set of the rows that where selects.
func add(table string, where []ovsdb.Condition, column string, row uuid) operation {
	return mutate(table, where, column, ovsdb.MutateOperationInsert, encode([]uuid{row}))
}

// remove takes a row out of a set. A row that nothing refers to is gone.
func remove(table string, where []ovsdb.Condition, column string, row uuid) operation {
	return mutate(table, where, column, ovsdb.MutateOperationDelete, encode([]uuid{row}))
}

func mutate(table string, where []ovsdb.Condition, column string, how ovsdb.Mutator, value any) operation {
	return operation{rows: 1, Operation: ovsdb.Operation{
		Op: ovsdb.OperationMutate, Table: table, Where: where,
		Mutations: []ovsdb.Mutation{*ovsdb.NewMutation(column, how, value)},
	}}
}

// reconfigure raises the number of the configuration, by which ovs-vswitchd
// tells that it has read this one, and reads it.
func reconfigure() [2]operation {
	return [2]operation{
		mutate("Open_vSwitch", theRow(), "next_cfg", ovsdb.MutateOperationAdd, 1),
		choose("Open_vSwitch", theRow(), "next_cfg"),
	}
}

// choose reads columns of the rows that where selects.
func choose(table string, where []ovsdb.Condition, names ...string) operation {
	return operation{rows: anyRows, Operation: ovsdb.Operation{Op: ovsdb.OperationSelect, Table: table, Where: where, Columns: names}}
}

// anyRows is for operations that do not count what they change.
const anyRows = -1

// guard makes the transaction fail unless the row's column has this value.
func guard(table string, where []ovsdb.Condition, column string, value any) operation {
	return hold(table, where, ovsdb.WaitConditionEqual, columns{column: value}, 0)
}

// wait makes the transaction wait, some milliseconds, until the row's column
// has another value.
func wait(table string, where []ovsdb.Condition, column string, value any, ms int) operation {
	return hold(table, where, ovsdb.WaitConditionNotEqual, columns{column: value}, ms)
}

func hold(table string, where []ovsdb.Condition, until ovsdb.WaitCondition, row columns, ms int) operation {
	op := ovsdb.Operation{
		Op: ovsdb.OperationWait, Table: table, Where: where,
		Until: string(until), Rows: []ovsdb.Row{row.encode()}, Timeout: &ms,
	}
	for name := range row {
		op.Columns = append(op.Columns, name)
	}
	return operation{rows: anyRows, Operation: op}
}

func isRow(row uuid) []ovsdb.Condition { return has("_uuid", row) }

// theRow selects the only row of table Open_vSwitch; libovsdb cannot write the
// empty condition.
func theRow() []ovsdb.Condition {
	return []ovsdb.Condition{ovsdb.NewCondition("next_cfg", ovsdb.ConditionGreaterThanOrEqual, 0)}
}

// has selects rows whose column has this value.
func has(column string, value any) []ovsdb.Condition {
	return []ovsdb.Condition{ovsdb.NewCondition(column, ovsdb.ConditionEqual, encode(value))}
}

// includes selects rows whose column has these elements, and perhaps others.
func includes(column string, value any) []ovsdb.Condition {
	return []ovsdb.Condition{ovsdb.NewCondition(column, ovsdb.ConditionIncludes, encode(value))}
}

func (c columns) encode() ovsdb.Row {
	row := make(ovsdb.Row, len(c))
	for name, value := range c {
		row[name] = encode(value)
	}
	return row
}

// encode makes a Go value one of OVSDB's (RFC 7047, section 5.1). libovsdb's own
// types for them encode themselves level by level, which takes five times as
// long.
func encode(value any) any {
	switch v := value.(type) {
	case uuid:
		return atom(v)
	case []int:
		return set(v, func(i int) any { return i })
	case []string:
		return set(v, func(s string) any { return s })
	case []uuid:
		return set(v, atom)
	case map[string]string:
		pairs := make([][2]string, 0, len(v))
		for key, value := range v {
			pairs = append(pairs, [2]string{key, value})
		}
		return [2]any{"map", pairs}
	}
	return value
}

func atom(id uuid) any { return [2]string{"uuid", id.GoUUID} }

func set[T any](list []T, encode func(T) any) [2]any {
	all := make([]any, 0, len(list))
	for _, v := range list {
		all = append(all, encode(v))
	}
	return [2]any{"set", all}
}

// plain is an operation that encodes as it is: libovsdb's does so twice.
type plain ovsdb.Operation

// request is the parameters of a transaction.
func request(ops []operation) []any {
	params := []any{database}
	for _, op := range ops {
		params = append(params, plain(op.Operation))
	}
	return params
}

// A result is what one operation read.
type result []record

// first is the first row; one without columns where there is none.
func (r result) first() record {
	if len(r) == 0 {
		return nil
	}
	return r[0]
}

// results reads the answer to a transaction. Each operation must have done what
// was expected of it.
func results(answer json.RawMessage, ops []operation) ([]result, error) {
	all, err := decode(answer)
	if err != nil {
		return nil, err
	}
	for i, r := range all {
		if r.Error == "" {
			continue
		}
		e := &refusal{kind: r.Error, details: r.Details}
		if i < len(ops) {
			e.what, e.means = ops[i].Op+" "+ops[i].Table, ops[i].refuse
		}
		return nil, e
	}
	if len(all) < len(ops) {
		return nil, fmt.Errorf("the OVSDB server answered %d of %d operations", len(all), len(ops))
	}
	list := make([]result, len(ops))
	for i, op := range ops {
		r := all[i]
		lost := op.Op == ovsdb.OperationInsert && r.UUID.GoUUID != op.UUID
		if lost || op.rows > 0 && op.rows != r.Count {
			return nil, &refusal{what: op.Op + " " + op.Table, kind: fmt.Sprintf("changed %d rows", r.Count), means: op.refuse}
		}
		list[i] = records(r.Rows)
	}
	return list, nil
}

// decode guards against libovsdb, which indexes what a server sent without a
// look at its length: rubbish shall cost an error, not the program.
func decode(answer json.RawMessage) (all []ovsdb.OperationResult, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the OVSDB server sent no proper answer: %v", p)
		}
	}()
	if err := json.Unmarshal(answer, &all); err != nil {
		return nil, fmt.Errorf("the OVSDB server sent no proper answer: %w", err)
	}
	return all, nil
}

// A record is a row as the server tells it.
type record map[string]any

func records(rows []ovsdb.Row) result {
	list := make(result, len(rows))
	for i, r := range rows {
		list[i] = record(r)
	}
	return list
}

// text is a string column; a set of at most one counts as a string.
func (r record) text(column string) string {
	for _, s := range r.strings(column) {
		return s
	}
	return ""
}

// strings are the elements of a set of strings, or of a string column.
func (r record) strings(column string) []string {
	var list []string
	for _, v := range elements(r[column]) {
		if s, ok := v.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

// row is the first row that a column refers to.
func (r record) row(column string) uuid {
	for _, v := range elements(r[column]) {
		if id, ok := v.(uuid); ok {
			return id
		}
	}
	return uuid{}
}

// numbers are the elements of a set of integers, or of an integer column.
func (r record) numbers(column string) []int {
	var list []int
	for _, v := range elements(r[column]) {
		if f, ok := v.(float64); ok {
			list = append(list, int(f))
		}
	}
	return list
}

// texts is a column that maps strings to strings.
func (r record) texts(column string) map[string]string {
	m, _ := r[column].(ovsdb.OvsMap)
	list := make(map[string]string, len(m.GoMap))
	for key, value := range m.GoMap {
		list[fmt.Sprint(key)] = fmt.Sprint(value)
	}
	return list
}

func elements(value any) []any {
	if s, ok := value.(ovsdb.OvsSet); ok {
		return s.GoSet
	}
	return []any{value}
}
