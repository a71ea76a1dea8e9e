package conformance

import (
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// loaded gives two hosts that are alike, with the same rules: in iptables-legacy, and in ours.
func loaded(t *testing.T, family packet.Family, rules string) *pair {
	t.Helper()
	needRoot(t)
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	p, diff, err := newPair(&Case{Family: family, Text: []byte(rules), Interfaces: []string{"eth0", "eth1"}}, lab.Legacy{}, a)
	if err != nil {
		t.Fatal(err)
	}
	if diff != nil {
		t.Fatal(diff)
	}
	t.Cleanup(func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// apply gives both other rules.
func (p *pair) apply(t *testing.T, rules string) {
	t.Helper()
	for _, s := range []*side{p.ref, p.ours} {
		if err := s.apply([]byte(rules)); err != nil {
			t.Fatalf("%T: %v", s.firewall, err)
		}
	}
}

// sends sends packets to both, at which the same is to be seen.
func (p *pair) sends(t *testing.T, packets ...string) {
	t.Helper()
	for i, text := range packets {
		one, err := lab.Parse(p.ref.family, text)
		if err != nil {
			t.Fatal(err)
		}
		diffs, err := p.send(i, one)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range diffs {
			t.Error(d)
		}
	}
}

// counted compares rules and counters, and gives those of netfilter.
func (p *pair) counted(t *testing.T, when any) saved {
	t.Helper()
	want, got, err := p.save()
	if err != nil {
		t.Fatal(err)
	}
	diffs, counted := compareSaved(want, got)
	for _, d := range diffs {
		t.Errorf("%v: %s", when, d)
	}
	if counted == 0 {
		t.Errorf("%v: nothing was counted", when)
	}
	return want
}
