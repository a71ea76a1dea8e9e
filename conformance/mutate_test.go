package conformance

import (
	"bytes"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// mutant is netfilter with a fault: it loads other rules than it is given and
// prints the given ones.
type mutant struct {
	lab.Legacy
	from, to string
}

func (m mutant) Apply(netns string, family packet.Family, text []byte) error {
	return m.Legacy.Apply(netns, family, bytes.ReplaceAll(text, []byte(m.from), []byte(m.to)))
}

func (m mutant) Save(netns string, family packet.Family, counters bool) ([]byte, error) {
	text, err := m.Legacy.Save(netns, family, counters)
	return bytes.ReplaceAll(text, []byte(m.to), []byte(m.from)), err
}

// mutants are faults that a firewall could have, and the kind of difference that
// must show them.
var mutants = []struct{ name, from, to, kind string }{
	{"port off by one", "--dport 22 ", "--dport 23 ", "packet"},
	{"range too long", "--length 0:100 ", "--length 0:101 ", "counter"},
	{"verdict", "--icmp-type 8 -j ACCEPT", "--icmp-type 8 -j DROP", "packet"},
	{"policy", ":INPUT DROP", ":INPUT ACCEPT", "packet"},
	{"wrong answer", "-j REJECT --reject-with tcp-reset", "-j REJECT --reject-with icmp-host-prohibited", "packet"},
	{"no answer", "-p udp -j REJECT", "-p udp -j DROP", "packet"},
	{"mark", "--set-mark 7", "--set-mark 6", "packet"},
	{"connection mark", "CONNMARK --save-mark", "CONNMARK --save-mark --nfmask 0xe --ctmask 0xe", "connections"},
	{"state", "--ctstate INVALID", "--ctstate UNTRACKED", "counter"},
	{"no tracking", "-j NOTRACK", "-j ACCEPT", "connections"},
	{"sender not told", "--uid-owner 500 -j DROP", "--uid-owner 501 -j DROP", "packet"},
	{"counter only", "-A FORWARD -f", "-A FORWARD ! -f", "counter"},
	{"interface", "-i lo -j ACCEPT", "-i lo -j DROP", "packet"},
}

// TestMutants: the harness can fail.
func TestMutants(t *testing.T) {
	needRoot(t)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			if !strings.Contains(selfRules, m.from) {
				t.Fatalf("%q is not in the rules", m.from)
			}
			found := map[string]bool{}
			for seed := range int64(4) {
				r, err := Verify(Options{Family: packet.IPv4, Text: []byte(selfRules), Packets: 400, Seed: seed,
					Ours: mutant{from: m.from, to: m.to}})
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range r.Differences {
					found[d.Kind] = true
				}
				if found[m.kind] {
					return
				}
			}
			t.Errorf("not found by a difference of kind %s; found: %v", m.kind, found)
		})
	}
}

// TestShrink: what is left of a failing case is what it takes.
func TestShrink(t *testing.T) {
	needRoot(t)
	fault := mutant{from: "--dport 22 ", to: "--dport 23 "}
	r, err := Verify(Options{Family: packet.IPv4, Text: []byte(selfRules), Packets: 100, Seed: 1, Ours: fault})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Failed() {
		t.Fatal("the fault was not found")
	}
	small := Shrink(r.Case, fault, 60)
	if len(small.Packets) > 3 || bytes.Count(small.Text, []byte("\n-A")) > 3 {
		t.Errorf("left:\n%s", small.Marshal())
	}
	again, err := Unmarshal(small.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if r, err = VerifyCase(again, fault); err != nil || !r.Failed() {
		t.Errorf("the case as kept does not fail: %v", err)
	}
}
