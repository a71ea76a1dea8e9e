package interp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// fake is a match: "no" never matches,
// "hot" drops, "mark N" and "ctmark N" ask a mark, "untracked" the state.
type fake struct{ text string }

func (m fake) Word() string                     { return m.text }
func (m fake) Args() []string                   { return strings.Fields(m.text) }
func (m fake) Check(*ruleset.Place) error       { return nil }
func (m fake) Eval(f *packet.Facts) pred.Answer { return pred.Eval(m.Lower(nil), f) }
func (m fake) Lower(*ruleset.Place) pred.Pred {
	var n uint32
	switch {
	case m.text == "hot":
		return pred.Const(pred.Hotdrop)
	case m.text == "no":
		return pred.Const(pred.No)
	case m.text == "untracked":
		return pred.Masked(pred.FieldCtState, packet.CtUntracked, packet.CtUntracked)
	}
	if _, err := fmt.Sscanf(m.text, "mark %d", &n); err == nil {
		return pred.Eq(pred.FieldMark, n)
	}
	if _, err := fmt.Sscanf(m.text, "ctmark %d", &n); err == nil {
		return pred.Eq(pred.FieldCtMark, n)
	}
	panic("no such match: " + m.text)
}

// does is a target.
type does struct {
	word string
	act  pred.Action
}

func (t does) Word() string                     { return t.word }
func (t does) Args() []string                   { return []string{t.word} }
func (t does) Check(*ruleset.Place) error       { return nil }
func (t does) Lower(*ruleset.Place) pred.Action { return t.act }

func target(word string) ruleset.Target {
	setMark := pred.SetMark{Dst: pred.FieldMark, Src: pred.FieldMark, Xor: 7}
	save := pred.SetMark{Dst: pred.FieldCtMark, Src: pred.FieldMark, And: ^uint32(0), NeedConn: true}
	acts := map[string]pred.Action{
		"ACCEPT": {Op: pred.Accept}, "DROP": {Op: pred.Drop}, "RETURN": {Op: pred.Return},
		"REJECT":  pred.Doing(pred.Reject{}),
		"LOG":     pred.Doing(pred.Log{}),
		"MARK":    pred.Doing(setMark),
		"SAVE":    pred.Doing(save),
		"NOTRACK": pred.Doing(pred.NoTrack{}),
		"TCPMSS":  pred.Doing(pred.SetMSS{}),
	}
	if a, ok := acts[word]; ok {
		return does{word, a}
	}
	if c, ok := strings.CutPrefix(word, "goto:"); ok {
		return does{c, pred.Action{Op: pred.Goto, Chain: c}}
	}
	return does{word, pred.Action{Op: pred.Jump, Chain: word}}
}

// table reads "INPUT DROP: no>ACCEPT; >sub / sub: mark 7>DROP": chains separated
// by "/", rules by ";", matches and target by ">".
func table(name, text string) *ruleset.Table {
	t := &ruleset.Table{Name: name}
	line := 0
	for _, chunk := range strings.Split(text, "/") {
		head, body, _ := strings.Cut(chunk, ":")
		words := strings.Fields(head)
		c := &ruleset.Chain{Name: words[0]}
		if len(words) > 1 {
			c.Base = tables.Base(name, c.Name, words[1])
		}
		for _, one := range strings.Split(body, ";") {
			matches, tgt, ok := strings.Cut(strings.TrimSpace(one), ">")
			if !ok {
				continue
			}
			line++
			r := &ruleset.Rule{Pos: ruleset.Pos{File: "t", Line: line}}
			for _, m := range strings.Split(matches, ",") {
				if m != "" {
					r.Matches = append(r.Matches, fake{m})
				}
			}
			if tgt != "" {
				r.Target = target(tgt)
			}
			c.Rules = append(c.Rules, r)
		}
		t.AddChain(c)
	}
	return t
}

func in(t *testing.T, text string) *packet.Facts {
	f, err := packet.Parse(packet.IPv4, text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// runs are traversals: table, packet, verdict and decider ("chain/number", the
// chain alone for the policy), and which rules counted the packet, by line.
var runs = []struct{ name, table, packet, want, counted string }{
	{"policy", "INPUT DROP: no>ACCEPT", "udp in a", "DROP INPUT", ""},
	{"first match", "INPUT DROP: no>DROP; >ACCEPT; >DROP", "udp in a", "ACCEPT INPUT/2", "2"},
	{"no target", "INPUT DROP: >; >ACCEPT", "udp in a", "ACCEPT INPUT/2", "1 2"},
	{"jump and back", "INPUT DROP: >sub; >ACCEPT / sub: no>DROP", "udp in a", "ACCEPT INPUT/2", "1 2"},
	{"return", "INPUT DROP: >sub; >ACCEPT / sub: >RETURN; >DROP", "udp in a", "ACCEPT INPUT/2", "1 2 3"},
	{"return in the base chain", "INPUT DROP: >RETURN; >ACCEPT", "udp in a", "DROP INPUT", "1"},
	{"goto skips the caller", "INPUT DROP: >goto:sub; >ACCEPT / sub: no>DROP", "udp in a", "DROP INPUT", "1"},
	{"goto inside a jump", "INPUT DROP: >one; >ACCEPT / one: >goto:two; >DROP / two: >RETURN", "udp in a", "ACCEPT INPUT/2", "1 2 3 5"},
	{"empty chain", "INPUT ACCEPT: >sub; >DROP / sub:", "udp in a", "DROP INPUT/2", "1 2"},
	{"hotdrop", "INPUT ACCEPT: no>ACCEPT; hot>ACCEPT; >ACCEPT", "udp in a", "DROP INPUT/2 hotdrop", ""},
	{"an earlier no spares from hotdrop", "INPUT ACCEPT: no,hot>DROP", "udp in a", "ACCEPT INPUT", ""},
	{"taken", "INPUT ACCEPT: >LOG; >REJECT; >DROP", "udp in a", "TAKEN INPUT/2", "1 2"},
	{"mark", "INPUT ACCEPT: mark 7>ACCEPT; >MARK; mark 7>DROP", "udp in a mark 9", "DROP INPUT/3", "2 3"},
	{"connmark", "INPUT ACCEPT: >SAVE; ctmark 9>DROP", "udp in a mark 9", "DROP INPUT/2", "1 2"},
	{"connmark without a connection", "INPUT ACCEPT: >SAVE; ctmark 9>DROP", "udp in a mark 9 ct invalid", "ACCEPT INPUT", "1"},
	{"notrack", "INPUT ACCEPT: >NOTRACK; untracked>DROP", "udp in a ct invalid", "DROP INPUT/2", "1 2"},
	{"notrack of a tracked packet", "INPUT ACCEPT: >NOTRACK; untracked>DROP", "udp in a", "ACCEPT INPUT", "1"},
	{"no chain at the hook", "INPUT DROP: >DROP", "udp out a", "ACCEPT ", ""},
	{"unknown effect", "INPUT ACCEPT: >TCPMSS; >DROP", "udp in a", "DROP INPUT/2 unknown", "1 2"},
}

func TestRun(t *testing.T) {
	for _, c := range runs {
		for _, mode := range []Mode{ByEval, ByLower} {
			m := New(packet.IPv4, table("filter", c.table), mode)
			got := m.Run(in(t, c.packet))
			if text := resultText(got); text != c.want {
				t.Errorf("%s: %s, want %s", c.name, text, c.want)
			}
			if text := countedLines(m); text != c.counted {
				t.Errorf("%s: counted by %q, want %q", c.name, text, c.counted)
			}
		}
	}
}

func resultText(r Result) string {
	s := r.Verdict.String() + " " + r.Chain
	if r.Decider != nil {
		s += fmt.Sprintf("/%d", r.Number)
	}
	if r.Hotdrop {
		s += " hotdrop"
	}
	if r.Unknown != nil {
		s += " unknown"
	}
	return s
}

func countedLines(m *Machine) string {
	var lines []string
	for _, c := range m.table.Chains {
		for _, r := range c.Rules {
			if n := m.Rules[r]; n.Packets == 1 && n.Bytes == 28 {
				lines = append(lines, fmt.Sprint(r.Pos.Line))
			} else if n.Packets != 0 {
				lines = append(lines, fmt.Sprintf("%d: %v", r.Pos.Line, n))
			}
		}
	}
	return strings.Join(lines, " ")
}

func TestPolicyCounters(t *testing.T) {
	m := New(packet.IPv4, table("filter", "INPUT DROP: no>ACCEPT"), ByEval)
	m.Run(in(t, "udp in a"))
	m.Run(in(t, "udp in a len 100"))
	if got := m.Policies[m.table.Chains[0]]; got != (ruleset.Counters{Packets: 2, Bytes: 128}) {
		t.Errorf("policy counters %v", got)
	}
}

func TestTrace(t *testing.T) {
	m := New(packet.IPv4, table("filter", "INPUT DROP: no,hot>ACCEPT; >sub / sub: mark 5>DROP; >"), ByEval)
	var got []string
	for _, s := range m.Trace(in(t, "udp in a")).Steps {
		got = append(got, s.String())
	}
	want := `INPUT 1 (line 1) does not match: no
INPUT 2 (line 2) matches: -j sub
  sub 1 (line 3) does not match: mark 5
  sub 2 (line 4) matches: counted, goes on
  sub ends, back to the caller
INPUT policy DROP`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestWalk(t *testing.T) {
	rs := &ruleset.Ruleset{Family: packet.IPv4, Tables: []*ruleset.Table{
		table("filter", "INPUT ACCEPT: untracked,mark 7>DROP / FORWARD DROP:"),
		table("raw", "PREROUTING ACCEPT: >NOTRACK / OUTPUT ACCEPT: >DROP"),
		table("mangle", "PREROUTING ACCEPT: >MARK / INPUT ACCEPT: mark 7>"),
		table("nat", "PREROUTING ACCEPT: >DROP"),
	}}
	for text, want := range map[string]string{
		"udp in a":       "raw:PREROUTING mangle:PREROUTING nat:PREROUTING mangle:INPUT filter:INPUT=DROP",
		"udp in a out b": "raw:PREROUTING mangle:PREROUTING nat:PREROUTING filter:FORWARD=DROP",
		"udp out b":      "raw:OUTPUT=DROP",
	} {
		var got []string
		for _, s := range Walk(rs, in(t, text), ByLower) {
			one := s.Table + ":" + s.Hook.String()
			if s.Result.Verdict != Accept {
				one += "=" + s.Result.Verdict.String()
			}
			got = append(got, one)
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s: %s, want %s", text, g, want)
		}
	}
}
