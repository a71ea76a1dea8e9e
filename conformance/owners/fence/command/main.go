// Command command is the owner fence: "apply" makes its input the tables of the owner, in both
// families at once; "list" prints the packets of each rule; "restore FAMILY" is
// iptables-restore, "remove FAMILY" takes all away.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/bpftables/bpftables/conformance/owners/fence"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/datapaths"
	"github.com/bpftables/bpftables/ruleset/packet"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fence:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	engines := map[string]*apply.Engine{}
	for _, f := range []packet.Family{packet.IPv4, packet.IPv6} {
		e, err := datapaths.Open(f)
		if err != nil {
			return err
		}
		defer e.Close()
		e.Speak(fence.Dialect{})
		engines[f.String()] = e
	}
	switch {
	case len(args) == 2 && args[0] == "restore":
		return engines[args[1]].Restore(&apply.Request{Text: in, File: "stdin"})
	case len(args) == 1 && args[0] == "apply":
		wanted, err := fence.Read(in)
		if err != nil {
			return err
		}
		var changes []apply.Change
		for f, e := range engines {
			changes = append(changes, fence.Change(e, wanted[f]))
		}
		return apply.Apply(changes...)
	case len(args) == 2 && args[0] == "remove":
		return engines[args[1]].FlushAll()
	case len(args) == 1 && args[0] == "list":
		return errors.Join(list(engines["ipv4"], out), list(engines["ipv6"], out))
	}
	return errors.New("give apply, list or restore FAMILY")
}

func list(e *apply.Engine, out io.Writer) error {
	sets, err := e.Sets(fence.Owner)
	if err != nil {
		return err
	}
	for _, s := range sets {
		fmt.Fprintln(out, e.Family(), "set", s.Name, len(s.Elements), "elements", 0)
	}
	tables, err := e.Owned(fence.Owner)
	for _, t := range tables {
		for _, c := range t.Chains {
			fmt.Fprintln(out, e.Family(), t.Name, c.Name, "policy", c.Counters.Packets)
			for _, r := range c.Rules {
				fmt.Fprintln(out, e.Family(), t.Name, c.Name, string(fence.Dialect{}.Append(nil, r)), r.Counters.Packets)
			}
		}
	}
	return err
}
