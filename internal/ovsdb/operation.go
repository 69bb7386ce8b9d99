package ovsdb

import (
	"crypto/rand"
	"fmt"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"
)

// A UUID names a row.
type UUID = libovsdb.UUID

// NewUUID is for a row that is going to be inserted: who knows it beforehand can
// take the row back without having seen an answer (Open vSwitch 2.13 and later).
func NewUUID() UUID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return UUID{GoUUID: fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])}
}

// An Op is one of a transaction's, with what to expect of it.
type Op struct {
	libovsdb.Operation
	Changes int   // how many rows it must change
	Means   error // what it means when it does not hold, or changes another number
}

// Columns are a row's, by name: string, int, UUID, []int, []string, []UUID, or
// map[string]string.
type Columns map[string]any

// Insert makes a row.
func Insert(table string, id UUID, row Columns) Op {
	return Op{Operation: libovsdb.Operation{Op: libovsdb.OperationInsert, Table: table, UUID: id.GoUUID, Row: row.encode()}}
}

// Update changes columns of one row.
func Update(table string, row UUID, change Columns) Op {
	return Op{Changes: 1, Operation: libovsdb.Operation{
		Op: libovsdb.OperationUpdate, Table: table, Where: IsRow(row), Row: change.encode(),
	}}
}

// Add puts a row into a set of the rows that where selects.
func Add(table string, where []libovsdb.Condition, column string, row UUID) Op {
	return Mutate(table, where, column, libovsdb.MutateOperationInsert, encode([]UUID{row}))
}

// Remove takes a row out of a set. A row that nothing refers to is gone.
func Remove(table string, where []libovsdb.Condition, column string, row UUID) Op {
	return Mutate(table, where, column, libovsdb.MutateOperationDelete, encode([]UUID{row}))
}

// Mutate changes a column of the one row that where selects, by a mutator of
// RFC 7047, section 5.1.
func Mutate(table string, where []libovsdb.Condition, column string, how libovsdb.Mutator, value any) Op {
	return Op{Changes: 1, Operation: libovsdb.Operation{
		Op: libovsdb.OperationMutate, Table: table, Where: where,
		Mutations: []libovsdb.Mutation{*libovsdb.NewMutation(column, how, value)},
	}}
}

// Select reads columns of the rows that where selects.
func Select(table string, where []libovsdb.Condition, names ...string) Op {
	return Op{Changes: AnyRows, Operation: libovsdb.Operation{Op: libovsdb.OperationSelect, Table: table, Where: where, Columns: names}}
}

// AnyRows is for operations that do not count what they change.
const AnyRows = -1

// Guard makes the transaction fail unless the row's column has this value.
func Guard(table string, where []libovsdb.Condition, column string, value any) Op {
	return hold(table, where, libovsdb.WaitConditionEqual, Columns{column: value}, 0)
}

// Wait makes the transaction wait, some milliseconds, until the row's column
// has another value.
func Wait(table string, where []libovsdb.Condition, column string, value any, ms int) Op {
	return hold(table, where, libovsdb.WaitConditionNotEqual, Columns{column: value}, ms)
}

func hold(table string, where []libovsdb.Condition, until libovsdb.WaitCondition, row Columns, ms int) Op {
	op := libovsdb.Operation{
		Op: libovsdb.OperationWait, Table: table, Where: where,
		Until: string(until), Rows: []libovsdb.Row{row.encode()}, Timeout: &ms,
	}
	for name := range row {
		op.Columns = append(op.Columns, name)
	}
	return Op{Changes: AnyRows, Operation: op}
}

// IsRow selects the row.
func IsRow(row UUID) []libovsdb.Condition { return Has("_uuid", row) }

// TheRow selects the only row of table Open_vSwitch; libovsdb cannot write the empty condition.
func TheRow() []libovsdb.Condition {
	return []libovsdb.Condition{libovsdb.NewCondition("next_cfg", libovsdb.ConditionGreaterThanOrEqual, 0)}
}

// Reconfigure raises the number of the configuration, by which ovs-vswitchd tells that it has read
// this one, and reads it.
func Reconfigure() [2]Op {
	return [2]Op{
		Mutate("Open_vSwitch", TheRow(), "next_cfg", libovsdb.MutateOperationAdd, 1),
		Select("Open_vSwitch", TheRow(), "next_cfg"),
	}
}

// Has selects rows whose column has this value.
func Has(column string, value any) []libovsdb.Condition {
	return []libovsdb.Condition{libovsdb.NewCondition(column, libovsdb.ConditionEqual, encode(value))}
}

// Includes selects rows whose column has these elements, and perhaps others.
func Includes(column string, value any) []libovsdb.Condition {
	return []libovsdb.Condition{libovsdb.NewCondition(column, libovsdb.ConditionIncludes, encode(value))}
}

func (c Columns) encode() libovsdb.Row {
	row := make(libovsdb.Row, len(c))
	for name, value := range c {
		row[name] = encode(value)
	}
	return row
}

// encode makes a Go value one of OVSDB's (RFC 7047, section 5.1). libovsdb's own
// types for them encode themselves level by level, which takes about twice as long
// (docs/decisions/ovsdb.md).
func encode(value any) any {
	switch v := value.(type) {
	case UUID:
		return atom(v)
	case []int:
		return set(v, func(i int) any { return i })
	case []string:
		return set(v, func(s string) any { return s })
	case []UUID:
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

func atom(id UUID) any { return [2]string{"uuid", id.GoUUID} }

func set[T any](list []T, encode func(T) any) [2]any {
	all := make([]any, 0, len(list))
	for _, v := range list {
		all = append(all, encode(v))
	}
	return [2]any{"set", all}
}
