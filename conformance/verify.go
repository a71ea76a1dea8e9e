package conformance

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Options say what Verify compares.
type Options struct {
	Title     string
	Family    packet.Family
	Text      []byte // rules, as iptables-restore reads them
	Packets   int    // how many packets, at least; 0: 200
	Seed      int64
	Converse  bool // draw whole conversations, not only the packet that a rule is about
	Ours      lab.Applier
	Reference lab.Applier // nil: iptables-legacy
}

// Report is what Verify found.
type Report struct {
	Case        *Case
	Differences []Difference
	ByChance    []Difference // those in which two runs of the reference differ as well, at the same packet
	Packets     int          // sent to each side
	Counters    int          // compared
	Chance      bool         // there are some ByChance: the rules depend on time or chance
}

// ErrRefused is what the error of Verify wraps when the reference refuses the
// rules.
var ErrRefused = errors.New("netfilter refuses the rules")

// Summary is one line.
func (r *Report) Summary() string {
	s := fmt.Sprintf("%d packets, %d counters compared: ", r.Packets, r.Counters)
	switch n := len(r.Differences); n {
	case 0:
		s += "no difference"
	case 1:
		s += "1 difference"
	default:
		s += fmt.Sprintf("%d differences", n)
	}
	if n := len(r.ByChance); n > 0 {
		s += fmt.Sprintf("; in %d more netfilter differs from itself: the rules depend on time or chance", n)
	}
	return s
}

// Failed says whether the firewall differs from the reference for no reason of
// chance, or so often by chance that it could hide anything.
func (r *Report) Failed() bool { return len(r.Differences) > 0 || len(r.ByChance) > r.mostByChance() }

// mostByChance is up to how many differences are taken for chance: rules with a rate differ at
// a few packets, those where it is used up.
func (r *Report) mostByChance() int { return 4 + (r.Packets+r.Counters)/10 }

// Verify draws packets for a ruleset and compares what both sides do.
func Verify(o Options) (*Report, error) {
	o.defaults()
	c, err := draw(o)
	if err != nil {
		return nil, err
	}
	return check(c, o)
}

// VerifyCase compares what both sides do with given packets.
func VerifyCase(c *Case, ours lab.Applier) (*Report, error) {
	o := Options{Ours: ours}
	o.defaults()
	return check(c, o)
}

func (o *Options) defaults() {
	if o.Packets == 0 {
		o.Packets = 200
	}
	if o.Reference == nil {
		o.Reference = lab.Legacy{}
	}
}

// draw makes the case: the rules are printed by the reference first, so that the
// drawer has one form to read.
func draw(o Options) (*Case, error) {
	c := &Case{Title: o.Title, Family: o.Family, Text: o.Text, Interfaces: gen.Interfaces(string(o.Text), maxInterfaces)}
	text, err := printed(c, o.Reference)
	if err != nil {
		return nil, err
	}
	d := gen.New(o.Family, text, c.Interfaces, o.Seed)
	for len(c.Packets) < o.Packets {
		if o.Converse && len(c.Packets)%4 != 0 {
			c.Packets = append(c.Packets, d.Conversation()...)
		} else {
			c.Packets = append(c.Packets, d.Draw()...)
		}
	}
	c.Routes, c.Listen = d.Routes(), d.Listen()
	return c, nil
}

// printed is the rules as the reference prints them.
func printed(c *Case, reference lab.Applier) (text string, err error) {
	s, err := newSide(&Case{Family: c.Family, Interfaces: []string{"eth0", "eth1"}}, reference)
	if err != nil {
		return "", err
	}
	defer func() {
		if closed := s.close(); err == nil {
			err = closed
		}
	}()
	if err := s.apply(c.Text); err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	out, err := s.firewall.Save(s.lab.Host(), s.family, false)
	return string(out), err
}

func check(c *Case, o Options) (*Report, error) {
	out, err := runCase(c, o.Reference, o.Ours)
	if err != nil {
		var r refusal
		if errors.As(err, &r) {
			return nil, fmt.Errorf("%w: %w", ErrRefused, r.err)
		}
		return nil, err
	}
	report := &Report{Case: c, Differences: out.diffs, Packets: out.packets, Counters: out.counters}
	for tries := 0; tries < selfRuns && len(report.Differences) > 0 && out.packets > 0; tries++ {
		again, err := runCase(c, o.Reference, o.Reference)
		if err != nil {
			return nil, err
		}
		report.excuse(again.diffs)
	}
	return report, nil
}

// selfRuns is how often the reference is compared with itself before a difference is believed.
const selfRuns = 4

var connPort = regexp.MustCompile(`[sd]port=(\d+)`)

// drew says whether a port of a connection is one in which packets differ by chance.
func (r *Report) drew(connection string) bool {
	for _, port := range connPort.FindAllStringSubmatch(connection, -1) {
		for _, d := range r.ByChance {
			at := ":" + port[1] + " "
			if d.Kind == "packet" && strings.Contains(d.Reference, at) != strings.Contains(d.Ours, at) {
				return true
			}
		}
	}
	return false
}

// excuse sets the differences aside that the reference has with itself: at the same packet,
// rule or connection; and connections with a port that was drawn for such a packet: an answer
// to it may open one. Others of the same kind stay.
func (r *Report) excuse(self []Difference) {
	type what struct {
		kind, where string
		index       int
	}
	known := map[what]bool{}
	for _, d := range self {
		known[what{d.Kind, d.Where, d.Index}] = true
	}
	var left []Difference
	for _, d := range r.Differences {
		if known[what{d.Kind, d.Where, d.Index}] || d.Kind == "connections" && r.drew(d.Where) {
			r.ByChance = append(r.ByChance, d)
		} else {
			left = append(left, d)
		}
	}
	r.Differences, r.Chance = left, len(r.ByChance) > 0
}
