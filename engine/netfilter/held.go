package netfilter

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// netfilter is where netfilter works for us: in our table of nf_tables, which no command
// of iptables reaches, and for what that cannot hold in the tables of iptables.
type netfilter struct {
	family packet.Family
	tools  tools
	own    anchor.Table
}

// held is what a generation gave to netfilter for one table, as its state remembers it.
type held struct {
	Table string                      `json:"table"`
	Whole bool                        `json:"whole,omitempty"`
	Plan  datapath.Later[*plan.Table] `json:"plan,omitzero"` // what the targets are laid out by
	// Stands says where each action can stand (shim.Stands), by its number.
	Stands []byte `json:"stands,omitempty"`
	Sum    uint64 `json:"sum"` // of the chains in nf_tables that packets reach by jumps; 0: not there
	// Bases are the base chains in nf_tables, with how many rules each has.
	Bases  map[string]uint32 `json:"bases,omitempty"`
	Chains int               `json:"chains"` // the same for iptables' tables, with the rules in built-in chains
	Rules  int               `json:"rules"`
}

// holds describes the layouts of a generation.
func (n *netfilter) holds(layouts []*shim.Layout, p *plan.Plan) []held {
	var out []held
	for _, l := range layouts {
		h := held{Table: l.Table, Whole: l.Whole, Chains: len(l.Chains)}
		for _, e := range l.Entries {
			h.Rules += len(e.Rules)
		}
		for _, c := range l.Chains {
			h.Rules += len(c.Rules)
		}
		if chains, err := shim.Own(l); err == nil {
			h.Sum, h.Bases = cmp.Or(sum(chains), 1), shim.Bases(l)
		}
		if !l.Whole {
			if t, stands := targetsOf(p, l.Table); t != nil {
				h.Plan, h.Stands = datapath.Now(t), stands
			}
		}
		out = append(out, h)
	}
	return out
}

// wholes are the programs that stand before the tables that are left to netfilter.
func wholes(rs *ruleset.Ruleset, p *plan.Plan) []codegen.Program {
	var out []codegen.Program
	needs := uint32(0)
	if p.Conntrack {
		needs = abi.NeedTracked
	}
	for _, t := range p.Tables {
		if t.InBPF {
			continue
		}
		for _, c := range rs.Table(t.Name).Chains {
			if c.Base == nil {
				continue
			}
			out = append(out, codegen.Program{
				Table: t.Name, Family: rs.Family, Hook: c.Base.Hook, Priority: c.Base.Priority,
				Shim: true, Whole: true, Needs: needs, NAT: c.Base.Type == ruleset.NAT,
			})
		}
	}
	return out
}

// targetsOf is the part of a table of a plan that shim.Targets needs, but for its actions, and where these stand.
func targetsOf(p *plan.Plan, name string) (*plan.Table, []byte) {
	for _, t := range p.Tables {
		if t.Name != name {
			continue
		}
		out := &plan.Table{Name: t.Name, InBPF: true, Longest: t.Longest}
		for _, h := range t.Hooks {
			out.Hooks = append(out.Hooks, &plan.Hook{Hook: h.Hook, Priority: h.Priority, NAT: h.NAT, Route: h.Route, Shim: h.Shim, Met: h.Met})
		}
		return out, shim.AllStand(t)
	}
	return nil, nil
}

// sum is a number for chains with their uses: the sum of those for each use, so that those of what a change
// takes away and adds can be taken away and added.
func sum(chains []anchor.Chain) (all uint64) {
	for name, n := range anchor.Uses(chains) {
		all += uses(name, n)
	}
	return all
}

// uses is the number for a chain.
func uses(name string, n uint32) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64() * uint64(n)
}

// add adds layouts of a generation beside what is there; again says that nothing is there but
// what is left of them.
func (n *netfilter) add(layouts []*shim.Layout, again bool) error {
	var own []anchor.Chain
	var inOwn, inTools []*shim.Layout
	for _, l := range layouts {
		chains, err := shim.Own(l)
		if err != nil {
			inTools = append(inTools, l)
			continue
		}
		own, inOwn = append(own, chains...), append(inOwn, l)
	}
	refused := n.own.Replace(names(own, again), own)
	failpoint.At("own table")
	if refused != nil {
		if others := slices.ContainsFunc(inOwn, func(l *shim.Layout) bool { return !tables.Known(l.Table) }); others {
			return fmt.Errorf("our table in nf_tables, which other owners than iptables need: %w", refused)
		}
		if err := n.tools.add(inOwn); err != nil {
			return errors.Join(refused, err)
		}
	}
	return n.tools.addAside(inTools)
}

// names are those of chains; base chains are among them only if asked for.
func names(chains []anchor.Chain, bases bool) (out []string) {
	for _, c := range chains {
		if c.Base == nil || bases {
			out = append(out, c.Name)
		}
	}
	return out
}

// keep removes everything of ours from netfilter that does not belong to a generation, which
// gave it something; 0: all.
func (n *netfilter) keep(gen uint32, given []held, pins string) error {
	if err := n.keepOwn(gen, given); err != nil {
		return err
	}
	return n.tools.edit(shim.Tables(), func(table, saved string) string {
		return shim.Removal(table, saved, pins, gen)
	})
}

func (n *netfilter) keepOwn(gen uint32, given []held) error {
	if gen == 0 {
		return n.own.Remove()
	}
	all, err := n.own.Names()
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, h := range given {
		for name := range h.Bases {
			wanted[name] = true
		}
	}
	var bases, others []string
	for _, name := range all {
		of, ours := shim.Generation(name)
		switch {
		case wanted[name]:
			bases = append(bases, name)
		case ours && of != gen || shim.IsBase(name):
			others = append(others, name)
		}
	}
	if len(others) > 0 && len(others) == len(all) {
		return n.own.Remove()
	}
	return n.own.Keep(shim.Prefix(gen), bases, others)
}

// lost gives the tables of which netfilter does not hold any more what a generation gave
// it: someone has removed or changed it. seen is what our table in nf_tables has.
func (n *netfilter) lost(seen anchor.Seen, gen uint32, all []held, pins string) ([]string, error) {
	var out []string
	for _, h := range all {
		if some, all := h.inOwn(seen.Chains, gen); some {
			if seen.Dormant || !all {
				out = append(out, h.Table)
			}
			continue
		}
		there, err := n.inTools(gen, h, pins)
		if err != nil {
			return nil, err
		}
		if !there {
			out = append(out, h.Table)
		}
	}
	return out, nil
}

// inOwn says whether some of it is in our table, and whether all is. While a change is under
// way, base chains have rules of the next generation, too.
func (h *held) inOwn(chains []anchor.Found, gen uint32) (some, all bool) {
	if h.Sum == 0 {
		return false, false
	}
	have, missing := uint64(0), len(h.Bases)
	for _, c := range chains {
		if rules, is := h.Bases[c.Name]; is {
			some = true
			if c.Uses >= rules {
				missing--
			}
		}
		if shim.Belongs(c.Name, gen, h.Table) {
			have += uses(c.Name, c.Uses)
			some = true
		}
	}
	return some, missing == 0 && cmp.Or(have, 1) == h.Sum
}

// inTools says whether the tables of iptables hold all of it.
func (n *netfilter) inTools(gen uint32, h held, pins string) (bool, error) {
	if !tables.Known(h.Table) {
		return false, nil
	}
	installed, err := n.tools.installed()
	if err != nil {
		return false, err
	}
	for _, t := range installed {
		saved, err := t.Save(h.Table)
		if err != nil {
			return false, err
		}
		if chains, rules := shim.Count(saved, pins, gen); chains == h.Chains && rules == h.Rules {
			return true, nil
		}
	}
	return false, nil
}

// counters gives what a table left to netfilter has counted, for the chains of the table
// in their order.
func (n *netfilter) counters(gen uint32, table string, chains []string) ([]shim.ChainCounters, error) {
	saved, err := n.tools.saveWhole(table)
	if err != nil {
		return nil, err
	}
	return shim.WholeCounters(saved, table, gen, chains), nil
}

// Mend links programs again that somebody has detached, and puts back what somebody has
// removed from netfilter.
func (d *Datapath) Mend(live *datapath.Live) error {
	if err := d.space.Mend(live.Number()); err != nil {
		return err
	}
	lost, r, err := d.lost(live)
	if err != nil || len(lost) == 0 {
		return err
	}
	var layouts []*shim.Layout
	pins := shim.PinDir(d.space.Pins(), live.Number())
	for _, h := range r.Held {
		switch {
		case !slices.Contains(lost, h.Table):
		case h.Whole:
			t, err := live.Table(h.Table)
			if err != nil {
				return err
			}
			l, err := shim.Whole(d.family, t, live.Number(), pins, iptables.ExactLine)
			if err != nil {
				return err
			}
			layouts = append(layouts, l)
		default:
			t, err := h.Plan.Get()
			if err == nil {
				t.Actions, err = actionsOf(live.Effects(h.Table))
			}
			if err != nil {
				return err
			}
			// Of a generation that another version has made, the effects may not be known: packets that need them are
			// dropped until the next one.
			if l := shim.Targets(d.family, t, live.Number(), pins); l != nil {
				layouts = append(layouts, l)
			}
		}
	}
	if err := d.netfilter.own.ConntrackOn(wishes(live.Conntrack, r.Tracking)...); err != nil {
		return err
	}
	failpoint.At("conntrack put back")
	if err := d.netfilter.tools.edit(lost, func(table, saved string) string {
		return shim.Removal(table, saved, d.space.Pins(), 0)
	}); err != nil {
		return err
	}
	failpoint.At("remains removed")
	if err := d.netfilter.add(layouts, true); err != nil {
		return fmt.Errorf("what netfilter does for the rules was removed by another program and cannot be put back: %w", err)
	}
	return nil
}

// conntrackLost is among what is lost when our wish for conntrack is.
const conntrackLost = "conntrack"

// lost gives what netfilter does not hold any more of a generation, and what it should.
func (d *Datapath) lost(live *datapath.Live) ([]string, *record, error) {
	r, err := recordOf(live)
	if err != nil {
		return nil, nil, err
	}
	if len(r.Held) == 0 && !live.Conntrack {
		return nil, r, nil
	}
	sound := d.soundNow(live)
	if d.wasSound(sound) {
		return nil, r, nil
	}
	seen, err := d.netfilter.own.Look()
	if err != nil {
		return nil, nil, err
	}
	lost, err := d.netfilter.lost(seen, live.Number(), r.Held, d.space.Pins())
	missing := func(w anchor.Wish) bool { return !seen.Holds(w) }
	// Counters go on without the rule that asked for them.
	if err == nil && slices.ContainsFunc(wishes(live.Conntrack, r.Tracking&^pred.TracksCounters), missing) {
		lost = append(lost, conntrackLost)
	}
	if err == nil && len(lost) == 0 && !slices.ContainsFunc(r.Held, func(h held) bool { return h.Sum == 0 }) {
		d.noteSound(sound)
	}
	return lost, r, err
}

// Lost names the hooks that our programs were detached from, and the tables of which
// netfilter does not hold any more what it was given.
func (d *Datapath) Lost(live *datapath.Live) ([]string, error) {
	detached, err := d.space.Detached(live.Number())
	if err != nil {
		return nil, err
	}
	lost, _, err := d.lost(live)
	return append(detached, lost...), err
}
