// Command pipework-cni is pipework as a CNI plugin; see docs/cni.md.
package main

import "github.com/go-pipework/pipework/plugin/cni"

func main() { cni.Main() }
