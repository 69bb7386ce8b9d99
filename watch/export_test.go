package watch

// StableMAC is the MAC of an interface that none is declared for.
var StableMAC = stableMAC
