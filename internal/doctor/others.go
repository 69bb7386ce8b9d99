//go:build !linux

package doctor

import "context"

func writable(string) error { return nil }

func capabilities(context.Context) []Finding {
	return []Finding{{"kernel", Problem, "pipework works on Linux only", "run it there, or in a virtual machine"}}
}

func kernel(context.Context) []Finding             { return nil }
func sysctls(context.Context) []Finding            { return nil }
func programs(context.Context) []Finding           { return nil }
func (Machine) firewall(context.Context) []Finding { return nil }
