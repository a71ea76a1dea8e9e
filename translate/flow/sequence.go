package flow

import (
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// TooMany is what longer sequences are counted as: jumps that nest can double a number with
// each chain.
const TooMany = 1 << 30

// sequence bounds the effects that packets can collect on a set of paths. Paths that leave effects out
// have no more, and no more runs of the same effect.
type sequence struct {
	n           int
	runs        int  // how often another effect follows, and 1
	all         Note // what all of them are, if one; valid if n > 0
	same        bool
	first, last int // numbers of the effects with which the longest paths begin and end; several: they differ
}

// several is not the number of an effect.
const several = -1

// words is how many words of a note they take: one for each effect, or two for a run of the same.
func (s sequence) words() int { return min(s.n, 2*s.runs) }

func (s sequence) then(o sequence) sequence {
	if o.n == 0 {
		return s
	}
	if s.n == 0 {
		return o
	}
	out := sequence{
		n: min(s.n+o.n, TooMany), runs: min(s.runs+o.runs, TooMany), all: s.all, first: s.first, last: o.last,
		same: s.same && o.same && s.all.Number == o.all.Number,
	}
	if s.last == o.first && s.last != several {
		out.runs--
	}
	if out.same && out.all.Once {
		out.n = 1 // it is noted once
	}
	return out
}

func (s sequence) or(o sequence) sequence {
	if o.n == 0 {
		return s
	}
	if s.n == 0 {
		return o
	}
	out := sequence{
		n: max(s.n, o.n), runs: max(s.runs, o.runs), all: s.all, first: s.first, last: s.last,
		same: s.same && o.same && s.all.Number == o.all.Number,
	}
	if s.first != o.first {
		out.first = several
	}
	if s.last != o.last {
		out.last = several
	}
	return out
}

func one(n Note) sequence {
	return sequence{n: 1, runs: 1, all: n, same: true, first: int(n.Number), last: int(n.Number)}
}

// ways is what a chain can do: paths that come back to the caller, and all paths.
type ways struct {
	through, any sequence
	returns      bool
}

// Most is what packets can collect, at most.
type Most struct {
	Effects int
	Words   int // of a note, in which an effect that follows itself is counted
}

// Longest is how many effects packets can collect, at most, from each chain of an order (Reach)
// on.
func Longest(t Table, order []int) map[int]Most {
	known, out := map[int]ways{}, map[int]Most{}
	for _, c := range order {
		known[c] = chainWays(t, c, known)
		out[c] = Most{Effects: known[c].any.n, Words: known[c].any.words()}
	}
	return out
}

// end is a rule at which every packet ends that matched a rule above.
type end struct {
	after   int // how many rules further
	returns bool
}

// endWithin is how far endOf looks: a note holds fewer effects.
const endWithin = 2 * plan.MaxNotes

// endOf finds the rule that ends the path of a packet that matches rule i: the usual "cond -j
// LOG", "cond -j DROP". Between them stand only rules that note effects or count; what the
// last one asks, the first one asks, too, and nothing changes the answers in between. Nil: none.
func endOf(t Table, chain int, rules []Rule, i int) *end {
	first := &rules[i]
	if first.Op != pred.Do || first.Note.Final || first.Always {
		return nil
	}
	for j := i; j < min(len(rules), i+endWithin); j++ {
		r := &rules[j]
		if r.Op == pred.Do && r.Note.Changes {
			return nil
		}
		switch {
		case r.Op == pred.Continue, r.Op == pred.Do && !r.Note.Final:
			continue
		case jumps(r), !r.Always && !t.Implied(chain, i, j):
			return nil
		}
		return &end{after: j - i, returns: r.Op == pred.Return}
	}
	return nil
}

// sequenceOf is what a packet notes that matches all of some rules.
func sequenceOf(rules []Rule) (s sequence) {
	for i := range rules {
		if rules[i].Op == pred.Do {
			s = s.then(one(rules[i].Note))
		}
	}
	return s
}

// chainWays is what a chain can do, of which all that it calls are known.
func chainWays(t Table, chain int, known map[int]ways) ways {
	var cur, back, any sequence
	returns := false
	rules := met(t.Rules(chain))
	for i := range rules {
		r, ends := &rules[i], false
		if e := endOf(t, chain, rules, i); e != nil {
			// What this rule notes is only found on paths that end at a rule below.
			side := cur.then(sequenceOf(rules[i : i+e.after+1]))
			if e.returns {
				back, returns = back.or(side), true
			} else {
				any = any.or(side)
			}
			continue
		}
		switch r.Op {
		case pred.Accept, pred.Drop:
			any, ends = any.or(cur), true
		case pred.Return:
			back, returns, ends = back.or(cur), true, true
		case pred.Do:
			if r.Note.Final {
				any, ends = any.or(cur.then(one(r.Note))), true
			} else {
				cur = cur.then(one(r.Note))
			}
		case pred.Jump, pred.Goto:
			callee := known[r.To]
			any = any.or(cur.then(callee.any))
			through := cur.then(callee.through)
			switch {
			case r.Op == pred.Goto && callee.returns:
				back, returns, ends = back.or(through), true, true
			case r.Op == pred.Goto || !callee.returns:
				ends = true
			default:
				cur = through
			}
		}
		if ends && r.Always {
			return ways{through: back, any: any.or(back), returns: returns}
		}
	}
	back = back.or(cur)
	return ways{through: back, any: any.or(back), returns: true}
}
