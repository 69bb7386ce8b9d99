package ovs

import (
	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"github.com/go-pipework/pipework/internal/ovsdb"
)

// database is the only one that this package speaks of.
const database = "Open_vSwitch"

// reconfigure raises the number of the configuration, by which ovs-vswitchd
// tells that it has read this one, and reads it.
func reconfigure() [2]ovsdb.Op {
	return [2]ovsdb.Op{
		ovsdb.Mutate("Open_vSwitch", theRow(), "next_cfg", libovsdb.MutateOperationAdd, 1),
		ovsdb.Select("Open_vSwitch", theRow(), "next_cfg"),
	}
}

// theRow selects the only row of table Open_vSwitch; libovsdb cannot write the
// empty condition.
func theRow() []libovsdb.Condition {
	return []libovsdb.Condition{libovsdb.NewCondition("next_cfg", libovsdb.ConditionGreaterThanOrEqual, 0)}
}
