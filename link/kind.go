package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/wire"
)

// A Kind is one kind of Backend that can be read from JSON: {"bridge": {"name": "br1"}}.
// Whoever reads Specs lists the kinds that they may have: [Kinds] are this package's.
type Kind struct {
	// Name is the key in JSON, and what begins the Backend's String.
	Name string
	// Read reads the settings.
	Read func(settings []byte) (Backend, error)
}

// KindOf is the Kind whose Backends are of type B, as json.Unmarshal reads them.
// Settings that B does not have are errors.
func KindOf[B Backend](name string) Kind {
	return Kind{Name: name, Read: func(settings []byte) (Backend, error) {
		var b B
		err := wire.Unmarshal(settings, &b)
		return b, err
	}}
}

// Kinds are those of this package.
func Kinds() []Kind {
	return []Kind{
		KindOf[Bridge]("bridge"), KindOf[Macvlan]("macvlan"), KindOf[Ipvlan]("ipvlan"),
		KindOf[IPoIB]("ipoib"), KindOf[Dummy]("dummy"), KindOf[Phys]("phys"),
		KindOf[VLAN]("vlan"), KindOf[Veth]("veth"),
	}
}

// kindName is what begins the String of a Backend: "macvlan" of "macvlan-vepa:eth0".
func kindName(s string) string {
	if i := strings.IndexAny(s, ":-"); i >= 0 {
		return s[:i]
	}
	return s
}

// MarshalBackend writes a Backend as {"bridge": {"name": "br1"}}.
func MarshalBackend(b Backend) ([]byte, error) {
	settings, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", b, err)
	}
	return json.Marshal(map[string]json.RawMessage{kindName(b.String()): settings})
}

// UnmarshalBackend reads what [MarshalBackend] writes, of one of the kinds. Another kind
// is errors.ErrUnsupported.
func UnmarshalBackend(text []byte, kinds []Kind) (Backend, error) {
	var one map[string]json.RawMessage
	if err := json.Unmarshal(text, &one); err != nil || len(one) != 1 {
		return nil, fmt.Errorf(`link: one kind with its settings is needed, such as {"bridge": {"name": "br1"}}`)
	}
	name := slices.Collect(maps.Keys(one))[0]
	for _, k := range kinds {
		if k.Name != name {
			continue
		}
		b, err := k.Read(one[name])
		if err != nil {
			return nil, fmt.Errorf("link: %s: %w", name, err)
		}
		return b, nil
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return nil, errs.New(errors.ErrUnsupported, "link: no kind is called %q here: there are %s", name, strings.Join(names, ", "))
}
