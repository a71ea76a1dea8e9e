package iptables

import "github.com/bpftables/bpftables/ruleset"

// ruleList is the rules of a chain while it is edited: adding at either end costs
// the same however many there are.
type ruleList struct {
	buf   []*ruleset.Rule
	start int // buf[start:] are the rules
}

// newRuleList copies the rules.
func newRuleList(rules []*ruleset.Rule) ruleList {
	return ruleList{buf: append([]*ruleset.Rule(nil), rules...)}
}

func (l *ruleList) all() []*ruleset.Rule { return l.buf[l.start:] }

func (l *ruleList) len() int { return len(l.buf) - l.start }

func (l *ruleList) add(r *ruleset.Rule) { l.buf = append(l.buf, r) }

// insert puts a rule before rule i, moving the shorter side.
func (l *ruleList) insert(i int, r *ruleset.Rule) {
	n := l.len()
	if i >= n/2+1 || i == n {
		l.buf = append(l.buf, nil)
		at := l.start + i
		copy(l.buf[at+1:], l.buf[at:])
		l.buf[at] = r
		return
	}
	if l.start == 0 {
		room := n + 8
		buf := make([]*ruleset.Rule, room+n, room+n+n/4)
		copy(buf[room:], l.buf)
		l.buf, l.start = buf, room
	}
	l.start--
	copy(l.buf[l.start:], l.buf[l.start+1:l.start+1+i])
	l.buf[l.start+i] = r
}

// remove takes rule i out, moving the shorter side.
func (l *ruleList) remove(i int) {
	at := l.start + i
	if i < l.len()/2 {
		copy(l.buf[l.start+1:], l.buf[l.start:at])
		l.buf[l.start] = nil
		l.start++
		return
	}
	copy(l.buf[at:], l.buf[at+1:])
	l.buf[len(l.buf)-1] = nil
	l.buf = l.buf[:len(l.buf)-1]
}

func (l *ruleList) clear() { *l = ruleList{} }

// finished gives the rules as a slice without room to spare.
func (l *ruleList) finished() []*ruleset.Rule {
	if l.len() == 0 {
		return nil
	}
	if l.start == 0 && cap(l.buf)-len(l.buf) <= len(l.buf)/8 {
		return l.buf[:len(l.buf):len(l.buf)]
	}
	return append(make([]*ruleset.Rule, 0, l.len()), l.all()...)
}
