// Package announce sends what an interface tells its network: where its addresses are
// now, and that it wants to hear routers.
package announce
