// Package critest has containerd's CRI plugin, as Kubernetes calls it, call pipework as a CNI
// plugin. It is a module of its own: the CRI's Go API is needed for nothing else.
package critest
