//go:build linux

package watch_test

import "github.com/go-pipework/pipework/internal/keeptest"

// What the tests here share with those of package keep.
var (
	addrs        = keeptest.Addrs
	byText       = keeptest.ByText
	detached     = keeptest.Detached
	has          = keeptest.Has
	id           = keeptest.ID
	inGuest      = keeptest.InGuest
	linkOf       = keeptest.LinkOf
	makeNIC      = keeptest.MakeNIC
	lineOf       = keeptest.LineOf
	must         = keeptest.Must
	onBridgeSpec = keeptest.OnBridge
	outdate      = keeptest.Outdate
	plugged      = keeptest.Plugged
	store        = keeptest.Store
	typed        = keeptest.Typed
	words        = keeptest.ByName
)

type lines = keeptest.Lines
