package link

import "context"

// Plug makes the interface; see [Backend].
func (Dummy) Plug(ctx context.Context, p *Port, u *Undo) error {
	return newLink{kind: "dummy", config: "CONFIG_DUMMY", mac: p.MAC}.plug(ctx, p, u)
}

// Check finds the interface; see [Backend].
func (Dummy) Check(ctx context.Context, p *Port) ([]Drift, error) {
	_, err := checkKind(ctx, p, "dummy")
	return nil, err
}

// Unplug removes the interface; see [Backend].
func (Dummy) Unplug(ctx context.Context, p *Port) error { return unplugLink(ctx, p) }
