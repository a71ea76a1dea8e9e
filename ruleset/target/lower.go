package target

import "github.com/bpftables/bpftables/ruleset/pred"

// shim is the action of a target that netfilter runs; args are name and options.
func shim(args []string) pred.Action {
	return pred.Action{Op: pred.Shim, Shim: args}
}

// verdictShim is the action of a target that netfilter runs and that ends the
// traversal.
func verdictShim(args []string) pred.Action {
	return pred.Action{Op: pred.Shim, Shim: args, Terminal: true}
}

// foreign leaves the whole table to netfilter.
func foreign(reason string) pred.Action {
	return pred.Action{Op: pred.Foreign, Reason: reason}
}
