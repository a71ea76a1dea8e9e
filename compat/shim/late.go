package shim

import (
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// iptables says before conntrack how a connection is to be tracked: it gives the packet a
// template, from which conntrack makes the entry (init_conntrack(),
// net/netfilter/nf_conntrack_core.c). nf_tables gives templates a zone alone; the rest it gives to the
// entry, behind conntrack and before the connection is confirmed. So such an action has two parts:
//
//	raw's chain       -m bpf take_late, a template with the zone   -> the note stays
//	conntrack         makes the entry
//	BehindConntrack   -m bpf late_pending, -m bpf late_bit ...     -> the rest, if the connection is new
//	                  -m bpf late_done                             -> the note ends
//	guard             drops packets whose note has not ended

// BehindConntrack is the priority of the chains that end actions.
const BehindConntrack = ruleset.PriorityConntrack + 1

// Late is what ends actions behind conntrack, in our table of nf_tables. The tools of iptables
// do not need it.
type Late struct {
	Entries []Entry
	Chains  []Chain
}

// endsBehindConntrack says whether an effect has a part behind conntrack that nf_tables can do.
func endsBehindConntrack(e pred.Effect) bool {
	t, is := e.(pred.Track)
	return is && sayable(t) && t.Helper != ""
}

// sayable says whether nf_tables has all that an effect asks for. A timeout policy is named, and may
// change; of which events are reported nf_tables has half of the choice (nft_ct_set_eval(), net/netfilter/nft_ct.c).
func sayable(e pred.Track) bool { return e.Timeout == "" && e.Events == 0 && e.ExpectEvents == 0 }

// endsLate says whether some actions of a table end behind conntrack.
func endsLate(t *plan.Table) bool { return len(lateActions(t)) > 0 }

func lateActions(t *plan.Table) []action {
	return slices.DeleteFunc(numbered(len(t.Actions)), func(a action) bool { return !endsBehindConntrack(t.Actions[a.number].Effect) })
}

// endings adds the chains behind conntrack.
func (b *builder) endings(t *plan.Table) {
	some := lateActions(t)
	late := &builder{Layout: Layout{Table: b.Table}, pins: b.pins}
	root := b.Root + "-late"
	late.chain(root)
	top := late.branches(root, LateBit, 0, func(a action) Rule { return Rule{Effect: t.Actions[a.number].Effect, Ends: true} }).from(some)
	late.Chains[0].Rules = []Rule{{Jump: top}, {Ask: late.ask(LateDone), Policy: "ACCEPT"}}
	for _, h := range t.Hooks {
		if h.Shim {
			b.Late.Entries = append(b.Late.Entries, Entry{
				Hook: h.Hook, Priority: BehindConntrack, Rules: []Rule{{Ask: late.ask(LatePending), Jump: root}},
			})
		}
	}
	b.Late.Chains = late.Chains
	for _, p := range late.Programs {
		b.load(p)
	}
}

// ending gives the rule of nf_tables that ends an action. An entry that is not of a new
// connection is left as it is, as is one that conntrack has expected (init_conntrack()): packets of
// those are RELATED.
func (at spot) ending(e pred.Effect) (anchor.Rule, error) {
	t, is := e.(pred.Track)
	if !is || t.Helper == "" {
		return nil, fmt.Errorf("the effect %s has no end behind conntrack", e)
	}
	return append(anchor.NewConnection(), anchor.Helper(at.chain, at.family, t.Helper, t.Proto)...), nil
}
