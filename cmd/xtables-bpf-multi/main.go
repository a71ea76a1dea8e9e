// Command xtables-bpf-multi stands for the programs of iptables: called by the name of one of
// them, as by a symbolic link, or with that name as its first argument.
package main

import (
	"fmt"
	"os"

	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/compat/face"
	"github.com/bpftables/bpftables/engine/datapaths"
	// A server runs the command, if there is one.
	_ "github.com/bpftables/bpftables/engine/serve/client/early"
)

func main() {
	f, args, ok := face.Called(os.Args)
	if !ok {
		fmt.Fprint(os.Stderr, face.Usage(os.Args[0]))
		os.Exit(1)
	}
	os.Exit(f.Run(caller.Self(os.Stdin, os.Stdout, os.Stderr), args, datapaths.Use))
}
