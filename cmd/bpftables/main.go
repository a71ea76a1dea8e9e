// Command bpftables is an iptables-compatible firewall that runs in BPF.
package main

import (
	"os"

	"github.com/bpftables/bpftables/cmd/cli"
	// A server runs the command, if there is one.
	_ "github.com/bpftables/bpftables/engine/serve/client/early"
)

func main() {
	os.Exit(cli.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
