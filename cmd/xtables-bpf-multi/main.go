// Command xtables-bpf-multi stands for the programs of iptables: called by the name of one of
// them, as by a symbolic link, or with that name as its first argument.
package main

import (
	"fmt"
	"os"

	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/compat/face"
	"github.com/bpftables/bpftables/engine/datapaths"
	"github.com/bpftables/bpftables/engine/serve/client"
	// A server runs the command, if there is one.
	_ "github.com/bpftables/bpftables/engine/serve/client/early"
)

func main() {
	args := os.Args
	f, ok := face.Of(args[0])
	if !ok && len(args) > 1 {
		args = args[1:]
		f, ok = face.Of(args[0])
	}
	if !ok {
		fmt.Fprintf(os.Stderr, "Usage: %s PROGRAM [ARGUMENT ...], with PROGRAM iptables, iptables-save, iptables-restore,\n"+
			"the same of ip6tables, or one of these with -legacy or -nft; or call it by such a name.\n", client.Multi)
		os.Exit(1)
	}
	os.Exit(f.Run(caller.Self(os.Stdin, os.Stdout, os.Stderr), args[1:], datapaths.Use))
}
