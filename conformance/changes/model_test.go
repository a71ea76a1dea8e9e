package changes

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// flow is traffic whose verdict no change may change.
type flow struct {
	header shapes.Header
	accept bool
}

// firstPort is the destination port of flow 0; each flow has its own.
const firstPort = 1001

// newFlows are n flows, every other one accepted.
func newFlows(family packet.Family, n int, r *rand.Rand) []flow {
	set := &shapes.Ruleset{Family: family, Rules: []shapes.Rule{{SrcPorts: shapes.AnyPort, DstPorts: shapes.AnyPort}}}
	var all []flow
	for i := range n {
		h := set.Draw(r)
		h.Proto, h.SrcPort, h.DstPort, h.Type, h.Flags = 17, uint16(40000+r.IntN(1000)), uint16(firstPort+i), 0, 0
		all = append(all, flow{h, i%2 == 0})
	}
	return all
}

// model is the chain INPUT as it should be.
type model struct {
	flows  []flow
	pool   []shapes.Rule // what is inserted
	rules  []shapes.Rule
	policy string
	r      *rand.Rand
}

// newModel starts with n rules.
func newModel(family packet.Family, flows []flow, n int, r *rand.Rand) (*model, error) {
	set, err := shapes.New(shapes.Options{
		Kind: shapes.FW, Family: family, Rules: 4000, Seed: r.Uint64(), Targets: []string{"ACCEPT", "DROP"},
	})
	if err != nil {
		return nil, err
	}
	set.Roughen(r, 5, nil)
	m := &model{flows: flows, pool: set.Rules, policy: []string{"ACCEPT", "DROP"}[r.IntN(2)], r: r}
	for _, f := range flows {
		m.rules = append(m.rules, m.about(f, f.accept))
	}
	for len(m.rules) < n {
		m.try(edit{'I', m.r.IntN(len(m.rules) + 1), m.draw()})
	}
	return m, nil
}

// about is a rule for a flow, more or less exact.
func (m *model) about(f flow, accept bool) shapes.Rule {
	h := f.header
	rule := shapes.Rule{
		Src: wider(h.Src, m.r), SrcPorts: shapes.AnyPort, Proto: h.Proto, DstPorts: shapes.Ports{Low: h.DstPort, High: h.DstPort},
		Target: map[bool]string{true: "ACCEPT", false: "DROP"}[accept],
	}
	if m.r.IntN(2) == 0 {
		rule.Dst = wider(h.Dst, m.r)
	}
	if m.r.IntN(4) == 0 {
		rule.DstPorts.Low -= uint16(m.r.IntN(2))
		rule.DstPorts.High += uint16(m.r.IntN(2))
	}
	return rule
}

func wider(a netip.Addr, r *rand.Rand) netip.Prefix {
	return netip.PrefixFrom(a, a.BitLen()-r.IntN(a.BitLen()/2)).Masked()
}

// draw is a rule to insert: about a flow, with any target, or about something else.
func (m *model) draw() shapes.Rule {
	if m.r.IntN(3) == 0 {
		return m.about(m.flows[m.r.IntN(len(m.flows))], m.r.IntN(2) == 0)
	}
	return m.pool[m.r.IntN(len(m.pool))]
}

// right says whether rules give every flow its verdict.
func (m *model) right(rules []shapes.Rule) bool {
	set := shapes.Ruleset{Rules: rules}
	for i := range m.flows {
		target := m.policy
		if first := set.First(&m.flows[i].header); first >= 0 {
			target = rules[first].Target
		}
		if (target == "ACCEPT") != m.flows[i].accept {
			return false
		}
	}
	return true
}

// edit is one change: Insert, Append, Delete or Replace, at a position from 0.
type edit struct {
	op   byte
	at   int
	rule shapes.Rule
}

// apply gives the rules after the edit.
func (e edit) apply(rules []shapes.Rule) []shapes.Rule {
	out := slices.Clone(rules)
	switch e.op {
	case 'I':
		return slices.Insert(out, e.at, e.rule)
	case 'A':
		return append(out, e.rule)
	case 'D':
		return slices.Delete(out, e.at, e.at+1)
	}
	out[e.at] = e.rule
	return out
}

// args are the words of the edit as iptables takes them.
func (e edit) args() []string {
	switch e.op {
	case 'I':
		return append([]string{"-I", "INPUT", fmt.Sprint(e.at + 1)}, strings.Fields(e.rule.Text())...)
	case 'A':
		return append([]string{"-A", "INPUT"}, strings.Fields(e.rule.Text())...)
	case 'D':
		return []string{"-D", "INPUT", fmt.Sprint(e.at + 1)}
	}
	return append([]string{"-R", "INPUT", fmt.Sprint(e.at + 1)}, strings.Fields(e.rule.Text())...)
}

// text is the edits as iptables-restore -n takes them.
func text(edits []edit) string {
	var b strings.Builder
	b.WriteString("*filter\n")
	for _, e := range edits {
		b.WriteString(strings.Join(e.args(), " ") + "\n")
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// try makes an edit if every flow keeps its verdict.
func (m *model) try(e edit) bool {
	after := e.apply(m.rules)
	if !m.right(after) {
		return false
	}
	m.rules = after
	return true
}

// one is a random edit of rules; few rules tend to become more, many fewer.
func (m *model) one(rules []shapes.Rule, about int) edit {
	ops := []byte{'I', 'D', 'R', 'A', 'I', 'D'}
	if len(rules) < about/2 {
		ops = []byte{'I', 'A'}
	}
	if len(rules) > 2*about {
		ops = []byte{'D'}
	}
	e := edit{op: ops[m.r.IntN(len(ops))], at: m.r.IntN(len(rules) + 1), rule: m.draw()}
	if e.op == 'D' || e.op == 'R' {
		e.at = m.r.IntN(len(rules))
	}
	return e
}

// next is the next change: a single edit, or a batch of which only the end is right.
func (m *model) next(about int) []edit {
	for {
		if m.r.IntN(3) > 0 {
			if e := m.one(m.rules, about); m.try(e) {
				return []edit{e}
			}
			continue
		}
		if batch := m.batch(about); batch != nil {
			return batch
		}
	}
}

// batch is some edits, or a flow's rules moved elsewhere: deleted and inserted again.
func (m *model) batch(about int) []edit {
	rules := m.rules
	var edits []edit
	do := func(e edit) { edits, rules = append(edits, e), e.apply(rules) }
	if m.r.IntN(2) == 0 {
		for range 2 + m.r.IntN(5) {
			do(m.one(rules, about))
		}
	} else {
		m.move(&rules, do)
	}
	if len(edits) == 0 || !m.right(rules) {
		return nil
	}
	m.rules = rules
	return edits
}

// move deletes all rules that match a flow and inserts one of them again somewhere.
func (m *model) move(rules *[]shapes.Rule, do func(edit)) {
	f := m.flows[m.r.IntN(len(m.flows))]
	var gone []shapes.Rule
	for i := 0; i < len(*rules); {
		if r := (*rules)[i]; r.Matches(&f.header) {
			gone = append(gone, r)
			do(edit{'D', i, r})
			continue
		}
		i++
	}
	if len(gone) > 0 {
		do(edit{'I', m.r.IntN(len(*rules) + 1), gone[m.r.IntN(len(gone))]})
	}
}
