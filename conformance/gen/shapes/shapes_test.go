package shapes

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/interp"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

var kinds = []Kind{Same, Sources, ACL, FW, IPC}

// each makes a ruleset of every kind and family, plain and roughened.
func each(t *testing.T, n int, check func(t *testing.T, s *Ruleset)) {
	for _, kind := range kinds {
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			for _, rough := range []bool{false, true} {
				s, err := New(Options{Kind: kind, Family: family, Rules: n, Seed: 7, Targets: []string{"DROP", "ACCEPT"}})
				if err != nil {
					t.Fatal(err)
				}
				name := string(kind) + " " + family.String()
				if rough {
					s.Roughen(rand.New(rand.NewPCG(1, 2)), 3, []string{"eth0", "eth+"})
					name += " rough"
				}
				t.Run(name, func(t *testing.T) { check(t, s) })
			}
		}
	}
}

func read(t *testing.T, s *Ruleset) *ruleset.Ruleset {
	rs, _, err := iptables.Read(strings.NewReader(s.Text(Frame{Policy: "ACCEPT"})), iptables.Options{Family: s.Family, Resolver: iptables.NewResolver()})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// TestText: what the rules print is what the reader of the project prints of them.
func TestText(t *testing.T) {
	each(t, 300, func(t *testing.T, s *Ruleset) {
		rules := read(t, s).Table("filter").Chain("INPUT").Rules
		if len(rules) != len(s.Rules) {
			t.Fatalf("%d rules, want %d", len(rules), len(s.Rules))
		}
		for i, r := range rules {
			if got, want := iptables.PrintRule(r, "INPUT"), "-A INPUT "+s.Rules[i].Text(); strings.TrimSpace(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	})
}

// TestFirst: the linear reference and the rules as read agree on drawn packets.
func TestFirst(t *testing.T) {
	each(t, 200, func(t *testing.T, s *Ruleset) {
		m := interp.New(s.Family, read(t, s).Table("filter"), interp.ByEval)
		r := rand.New(rand.NewPCG(3, 4))
		missed := 0
		for i := range 3 * len(s.Rules) {
			h := s.DrawFor(i%len(s.Rules), r)
			if h.In == "" {
				h.In = "wlan0"
			}
			raw, err := h.Packet(0)
			if err != nil {
				t.Fatalf("%+v: %v", h, err)
			}
			f, ok := packet.Decode(s.Family, raw)
			if !ok {
				t.Fatalf("%+v: not a packet", h)
			}
			f.Hook, f.In.Name = packet.Input, h.In
			want := s.First(&h)
			if got := m.Run(f).Number - 1; got != want {
				t.Fatalf("%+v: rule %d, reference %d", h, got+1, want+1)
			}
			if want < 0 {
				missed++
			}
		}
		if missed > len(s.Rules)/10 {
			t.Errorf("%d of %d packets match no rule", missed, 3*len(s.Rules))
		}
	})
}

// TestSpread: packets drawn for the rules of a mixed ruleset reach many of them.
func TestSpread(t *testing.T) {
	for _, kind := range []Kind{ACL, FW, IPC} {
		s, err := New(Options{Kind: kind, Family: packet.IPv4, Rules: 1000, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(5, 6))
		hit := map[int]bool{}
		for i := range s.Rules {
			h := s.DrawFor(i, r)
			hit[s.First(&h)] = true
		}
		if len(hit) < 600 {
			t.Errorf("%s: packets for 1000 rules reach %d of them", kind, len(hit))
		}
		t.Logf("%s: %d of 1000 rules are reached", kind, len(hit))
	}
}

func TestSeedAndSize(t *testing.T) {
	text := func(seed uint64) string {
		s, err := New(Options{Kind: IPC, Family: packet.IPv6, Rules: 500, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return s.Text(Frame{Policy: "DROP", Before: []string{"-i lo -j ACCEPT"}})
	}
	if one, again := text(1), text(1); one != again || one == text(2) {
		t.Error("rules must follow from the seed")
	}
	if _, err := New(Options{Kind: "round"}); err == nil {
		t.Error("an unknown kind is accepted")
	}
	s, err := New(Options{Kind: Same, Family: packet.IPv4, Rules: 200000})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range s.Rules {
		seen[s.Rules[i].Text()] = true
	}
	if len(seen) != 200000 {
		t.Errorf("%d different rules of 200000", len(seen))
	}
}
