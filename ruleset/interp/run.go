package interp

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Result is what became of a packet in one table.
type Result struct {
	Verdict Verdict
	Chain   string        // the chain that decided
	Decider *ruleset.Rule // the rule that decided; nil: the policy or no rule at all
	Number  int           // of the rule in its chain, from 1; 0 without a rule
	Policy  bool          // the policy of the built-in chain decided
	Hotdrop bool          // a match dropped the packet without a rule
	Effects []pred.Effect // in the order in which they came about
	Unknown []string      // targets whose effect on the packet is not known here, and why
	Facts   *packet.Facts // the packet as it leaves the table
	Steps   []Step        // with Trace
}

// run is one traversal.
type run struct {
	m     *Machine
	f     *packet.Facts
	res   Result
	base  *chain
	at    *chain
	next  int
	rest  *rule   // of the rule before next; nil: it is done
	stack []frame // where jumps return to
}

type frame struct {
	chain *chain
	next  int
	rest  *rule
}

// Run passes a packet through the chain of its hook. The packet itself is not
// changed: the marks it leaves with are in Result.Facts. A table without a chain
// at the hook accepts.
func (m *Machine) Run(f *packet.Facts) Result { return m.RunBase(m.table.BaseAt(f.Hook), f) }

// RunBase is Run for one of the table's base chains; nil accepts.
func (m *Machine) RunBase(base *ruleset.Chain, f *packet.Facts) Result {
	r := &run{m: m, f: copyFacts(f)}
	if base != nil {
		r.base = m.chains[base.Name]
		r.at = r.base
		for !r.step() {
		}
	}
	r.res.Facts = r.f
	return r.res
}

// Trace is Run with every step recorded.
func (m *Machine) Trace(f *packet.Facts) Result { return m.TraceBase(m.table.BaseAt(f.Hook), f) }

// TraceBase is RunBase with every step recorded.
func (m *Machine) TraceBase(base *ruleset.Chain, f *packet.Facts) Result {
	m.trace = true
	defer func() { m.trace = false }()
	return m.RunBase(base, f)
}

// copyFacts copies what rules may change.
func copyFacts(f *packet.Facts) *packet.Facts {
	c := *f
	if f.Conn != nil {
		conn := *f.Conn
		c.Conn = &conn
	}
	if c.World == nil {
		c.World = &packet.World{}
	}
	return &c
}

// step tries the next rule, or what is left of one; true when the packet has its verdict.
func (r *run) step() bool {
	one := r.rest
	if one == nil {
		if r.next >= len(r.at.rules) {
			return r.end()
		}
		one = r.at.rules[r.next]
		r.next++
	}
	r.rest = nil
	answer, which := r.m.ask(one, r.f)
	r.record(one, answer, which)
	switch answer {
	case pred.No:
		return false
	case pred.Hotdrop:
		r.decide(Drop, one)
		r.res.Hotdrop = true
		return true
	}
	c := r.m.Rules[one.Rule]
	r.m.Rules[one.Rule] = add(c, r.f.Len)
	r.rest = one.behind
	return r.act(one)
}

func add(c ruleset.Counters, bytes uint32) ruleset.Counters {
	return ruleset.Counters{Packets: c.Packets + 1, Bytes: c.Bytes + uint64(bytes)}
}

// end is the end of a chain: the entry with the policy, or the RETURN that every
// user chain ends with.
func (r *run) end() bool {
	if r.at != r.base {
		r.tell(StepEnd)
		r.pop()
		return false
	}
	c := r.base.Chain
	r.m.Policies[c] = add(r.m.Policies[c], r.f.Len)
	v := Accept
	if c.Base.Policy == ruleset.Drop {
		v = Drop
	}
	r.res.Verdict, r.res.Chain, r.res.Policy = v, c.Name, true
	r.tell(StepPolicy)
	return true
}

// pop goes back behind the last jump; without one, to the policy
// (underflow[hook] in ipt_do_table()).
func (r *run) pop() {
	if len(r.stack) == 0 {
		r.at, r.next, r.rest = r.base, len(r.base.rules), nil
		return
	}
	top := r.stack[len(r.stack)-1]
	r.stack = r.stack[:len(r.stack)-1]
	r.at, r.next, r.rest = top.chain, top.next, top.rest
}

func (r *run) decide(v Verdict, one *rule) {
	r.res.Verdict, r.res.Chain, r.res.Decider, r.res.Number = v, r.at.Name, one.Rule, one.number
}

// act does what a matching rule says; true when that is a verdict.
func (r *run) act(one *rule) bool {
	a := one.action
	switch a.Op {
	case pred.Accept:
		r.decide(Accept, one)
		return true
	case pred.Drop:
		r.decide(Drop, one)
		return true
	case pred.Return:
		r.pop()
	case pred.Jump, pred.Goto:
		return r.call(one)
	case pred.Do:
		if _, is := a.Effect.(pred.NAT); is {
			r.res.Effects = append(r.res.Effects, a.Effect)
			r.decide(Accept, one)
			return true
		}
		if why := unforeseen(a.Effect); why != "" {
			r.res.Unknown = append(r.res.Unknown, one.Target.Word()+" "+why)
			return false
		}
		r.res.Effects = append(r.res.Effects, a.Effect)
		if pred.Ends(a.Effect) {
			r.decide(Taken, one)
			return true
		}
		apply(r.f, a.Effect)
	}
	return false
}

// unforeseen says what of an effect cannot be told from the facts of the packet; "": it can.
func unforeseen(e pred.Effect) string {
	switch e := e.(type) {
	case pred.NPT:
		return "translates addresses"
	case pred.SetMSS, pred.StripTCPOptions, pred.FillChecksum:
		return "rewrites the packet"
	case pred.SetECN:
		if e.SetECE || e.SetCWR {
			return "rewrites the packet"
		}
	case pred.TProxy:
		return "takes or drops the packet by the sockets of this host"
	case pred.SynProxy:
		return "takes, drops or passes the packet by its cookie"
	case pred.ChangeKernelSet:
		if e.Map.Set != "" {
			return "takes values from a set"
		}
	case pred.Opaque:
		return "is known by its name alone"
	}
	return ""
}

// call enters a user chain. The kernel's stack has room for every user chain once,
// which is enough, as chains do not form rings; a packet that needs more is
// dropped there too.
func (r *run) call(one *rule) bool {
	to := r.m.chains[one.action.Chain]
	if to == nil || len(r.stack) > len(r.m.chains) {
		r.decide(Drop, one)
		return true
	}
	if one.action.Op == pred.Jump {
		r.stack = append(r.stack, frame{r.at, r.next, r.rest})
	}
	r.at, r.next, r.rest = to, 0, nil
	return false
}

// apply changes the facts as an effect changes the packet, and named sets.
func apply(f *packet.Facts, e pred.Effect) {
	if update, is := e.(pred.SetUpdate); is {
		pred.Eval(update, f)
	}
	if c, is := pred.ChangesHeader(f.Family, e); is {
		changeHeader(f, c)
	}
	if s, is := pred.MarkChange(e); is && (!s.NeedConn || f.Conn != nil) {
		v := s.Apply(get(f, s.Dst), get(f, s.Src))
		switch {
		case s.Dst == pred.FieldMark:
			f.Mark = v
		case s.Dst == pred.FieldCtMark && f.Conn != nil:
			f.Conn.Mark = v
		}
	}
	if f.Conn != nil || f.CtState&(packet.CtUntracked|packet.CtMet) != 0 {
		return
	}
	if pred.Untracks(e) {
		f.CtState = packet.CtUntracked
	}
	if pred.Attaches(e) {
		f.CtState, f.Conn = packet.CtNew, &packet.Conn{}
	}
}

func get(f *packet.Facts, field pred.Field) uint32 {
	switch {
	case field == pred.FieldMark:
		return f.Mark
	case field == pred.FieldCtMark && f.Conn != nil:
		return f.Conn.Mark
	}
	return 0
}
