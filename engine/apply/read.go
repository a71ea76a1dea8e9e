package apply

import (
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
)

// Read runs a command line that changes nothing: -C, -S and -L. Of the rules that are enforced it
// reads those that the command asks for, and what was counted only where it is printed: a table of
// tens of thousands of rules takes longer to be read than a command may take.
func (e *Engine) Read(argv *iptables.Argv, o iptables.Options) error {
	if argv.Counted {
		enforced := false
		err := e.counted(func(st *state.Store, counts state.Live) error {
			enforced = true
			return e.list(st, argv, counts, o)
		})
		if err != nil || enforced {
			return err
		}
		return run(argv, o)
	}
	live, err := e.Live()
	if err != nil {
		return err
	}
	if live == nil {
		return run(argv, o)
	}
	defer live.Close()
	if !argv.Checks {
		return e.list(live.State, argv, nil, o)
	}
	if o.Base, err = e.around(live, argv); err != nil {
		return err
	}
	return argv.Check(o, &editor{live: live})
}

// base is a table as the base of a command that asks about one of its chains alone.
func base(t *ruleset.Table, chain string) *ruleset.Ruleset {
	some := &ruleset.Table{Family: t.Family, Name: t.Name, Owner: t.Owner}
	for _, c := range t.Chains {
		if c.BuiltIn() || c.Name == chain {
			some.AddChain(c)
		}
	}
	return &ruleset.Ruleset{Family: t.Family, Tables: []*ruleset.Table{some}}
}

// run runs a command line, and forgets what it gives.
func run(argv *iptables.Argv, o iptables.Options) error {
	_, _, err := argv.Run(o)
	return err
}

// list runs -S or -L on a state.
func (e *Engine) list(st *state.Store, argv *iptables.Argv, counts state.Live, o iptables.Options) (err error) {
	var chain *state.Chain
	if t := st.Table(argv.Table); t != nil {
		chain = t.Chain(argv.Chain)
	}
	read := iptables.Options{File: state.File, Resolver: e.caller.Resolver()}
	if chain == nil { // all chains are asked for, or one that is not there
		if o.Base, err = st.Ruleset(argv.Table, counts, read); err != nil {
			return err
		}
		return run(argv, o)
	}
	rs, err := chain.Ruleset(counts, read)
	if err != nil {
		return err
	}
	o.Base = base(rs.Table(argv.Table), argv.Chain)
	if chain.Policy == "" {
		jumps, err := chain.Table().References(chain.Name)
		if err != nil {
			return err
		}
		o.References = func(string) int { return jumps }
	}
	return run(argv, o)
}
