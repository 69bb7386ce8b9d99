package ovs

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// ownKeys begins the external_ids that are pipework's.
const ownKeys = "pipework."

// The keys, most of them those of the classic tool.
const (
	keyMade          = ovsdb.MadeKey    // "port" or "bridge": pipework made it
	keyMark          = ownKeys + "mark" // link.Mark
	keyInterface     = ownKeys + "interface"
	keyBridge        = ownKeys + "bridge"
	keyContainerID   = ownKeys + "containerid"
	keyContainerName = ownKeys + "containername"
	keyNSPID         = ownKeys + "nspid"
	keyNetNS         = ownKeys + "netns" // device and inode of the namespace
	keyVLAN          = ownKeys + "vlan"
	keyPin           = ownKeys + "pin"      // the bridge that has flows of the port's: see pin_linux.go
	keySettings      = ownKeys + "settings" // of the port, that the Bridge asked for
)

const (
	madePort   = "port"
	madeBridge = ovsdb.MadeBridge
)

// externalIDs are those of a guest's port and interface.
func (b Bridge) externalIDs(p *link.Port) map[string]string {
	ids := b.placeIDs(p)
	maps.Copy(ids, guestIDs(p.Guest.Identity))
	ids[keyNetNS] = netnsID(p.Guest.Inode())
	ids[keyMark] = p.Mark.String()
	return ids
}

// placeIDs are those that do not depend on the guest.
func (b Bridge) placeIDs(p *link.Port) map[string]string {
	ids := map[string]string{keyMade: madePort, keyBridge: b.Name, keyInterface: p.Mark.Interface}
	ids[keySettings] = formatSettings(b.settings())
	maps.Copy(ids, b.ExternalIDs)
	if b.Tag != 0 {
		ids[keyVLAN] = strconv.Itoa(b.Tag)
	}
	return ids
}

// guestIDs say whose it is, as far as that is known.
func guestIDs(g ns.Identity) map[string]string {
	ids := make(map[string]string)
	if g.PID != 0 {
		ids[keyNSPID] = strconv.Itoa(g.PID)
	}
	if g.ID != "" {
		ids[keyContainerID] = g.ID
	}
	if g.Name != "" {
		ids[keyContainerName] = g.Name
	}
	return ids
}

func netnsID(id ns.Inode) string { return fmt.Sprintf("%d:%d", id.Dev, id.Ino) }
