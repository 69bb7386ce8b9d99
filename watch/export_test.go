package watch

import "time"

// SetProbe has comparisons look so long for other hosts that have an address.
func (w *Watcher) SetProbe(d time.Duration) { w.probe = d }

// StableMAC is the MAC of an interface that none is declared for.
var StableMAC = stableMAC
