package conformance

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/conformance/lab"
)

// Difference is one thing in which the firewall under test is not like the
// reference.
type Difference struct {
	Kind      string // "load", "text", "packet", "counter", "connections"
	Where     string // the rule, packet or connection
	Index     int    // packet: its number, from 0; counter: the line
	Reference string
	Ours      string
}

// String is the difference over several lines.
func (d Difference) String() string {
	return fmt.Sprintf("%s: %s\n  reference: %s\n  ours:      %s", d.Kind, d.Where, indent(d.Reference), indent(d.Ours))
}

func indent(s string) string {
	if s == "" {
		return "nothing"
	}
	return strings.ReplaceAll(s, "\n", "\n             ")
}

// outcome is the comparison of one case.
type outcome struct {
	diffs    []Difference
	packets  int
	counters int
}

// runCase loads the rules on both sides, sends the packets to both, and compares.
func runCase(c *Case, reference, ours lab.Applier) (out outcome, err error) {
	p, diff, err := newPair(c, reference, ours)
	if diff != nil {
		out.diffs = append(out.diffs, *diff)
	}
	if err != nil || diff != nil {
		return out, err
	}
	defer func() {
		if closed := p.close(); err == nil {
			err = closed
		}
	}()
	return out, p.run(c, &out)
}

func (p *pair) run(c *Case, out *outcome) error {
	for i, one := range c.Packets {
		d, err := p.send(i, one)
		if err != nil {
			return err
		}
		out.packets++
		out.diffs = append(out.diffs, d...)
	}
	d, err := p.connections()
	if err != nil {
		return err
	}
	out.diffs = append(out.diffs, d...)
	ref, got, err := p.save()
	if err != nil {
		return err
	}
	d, out.counters = compareSaved(ref, got)
	out.diffs = append(out.diffs, d...)
	return nil
}

// send sends a packet on both sides and compares what was seen.
func (p *pair) send(i int, one *lab.Packet) ([]Difference, error) {
	want, err := p.ref.lab.Send(one)
	if err != nil {
		return nil, fmt.Errorf("reference: %s: %w", one, err)
	}
	got, err := p.ours.lab.Send(one)
	if err != nil {
		return nil, fmt.Errorf("ours: %s: %w", one, err)
	}
	w, g := eventText(want), eventText(got)
	if w == g {
		return nil, nil
	}
	return []Difference{{Kind: "packet", Where: one.String(), Index: i, Reference: w, Ours: g}}, nil
}

func eventText(events []lab.Event) string {
	lines := make([]string, len(events))
	for i, e := range events {
		lines[i] = e.String()
	}
	return strings.Join(lines, "\n")
}

// connections compares the entries of connection tracking.
func (p *pair) connections() ([]Difference, error) {
	want, err := p.ref.lab.Connections()
	if err != nil {
		return nil, err
	}
	got, err := p.ours.lab.Connections()
	if err != nil {
		return nil, err
	}
	return compareConnections(want, got), nil
}

// compareConnections gives a difference for each connection that the sides do not have alike.
func compareConnections(want, got []string) (diffs []Difference) {
	index := map[string]int{}
	at := func(line string) *Difference {
		where := original(line)
		i, ok := index[where]
		if !ok {
			i = len(diffs)
			index[where] = i
			diffs = append(diffs, Difference{Kind: "connections", Where: where})
		}
		return &diffs[i]
	}
	for _, line := range onlyIn(want, got) {
		at(line).Reference += line
	}
	for _, line := range onlyIn(got, want) {
		at(line).Ours += line
	}
	return diffs
}

// original is what names a connection: the protocols, and the addresses and ports that its
// first packet had. A port that NAT has drawn is not among them.
func original(line string) string {
	var out []string
	seen := false
	for _, word := range strings.Fields(line) {
		if strings.HasPrefix(word, "src=") {
			if seen {
				break
			}
			seen = true
		}
		if len(out) < 2 || seen && strings.Contains(word, "=") {
			out = append(out, word)
		}
	}
	return strings.Join(out, " ")
}

// onlyIn gives the lines of a that b does not have.
func onlyIn(a, b []string) []string {
	have := map[string]int{}
	for _, line := range b {
		have[line]++
	}
	var out []string
	for _, line := range a {
		if have[line]--; have[line] < 0 {
			out = append(out, line)
		}
	}
	return out
}
