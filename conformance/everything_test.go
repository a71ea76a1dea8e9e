package conformance

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestEverything judges random rulesets of all tables by whole conversations.
func TestEverything(t *testing.T) {
	needRoot(t)
	var sum tally
	for i := range int64(number(*random, 8, 400)) {
		classify(t, int(i/2))
		r := rand.New(rand.NewSource(*seed*1_000_000 + i))
		family := []packet.Family{packet.IPv4, packet.IPv6}[i%2]
		text := gen.Everything(r, family)
		judge(t, &sum, Options{Title: fmt.Sprintf("everything %d of seed %d", i, *seed), Family: family, Text: []byte(text),
			Packets: number(*packets, 150, 300), Seed: *seed + i, Converse: true})
	}
	t.Logf("everything: %s", &sum)
	if sum.refused > sum.rulesets/10 {
		t.Errorf("netfilter refuses %d of %d random rulesets: the generator is broken", sum.refused, sum.refused+sum.rulesets)
	}
}

// TestStyles judges rulesets in the style of programs that write them, by whole conversations.
func TestStyles(t *testing.T) {
	needRoot(t)
	files, err := filepath.Glob("styles/*.v[46]")
	if err != nil || len(files) == 0 {
		t.Fatalf("no styles: %v", err)
	}
	var sum tally
	for i, path := range files {
		classify(t, i)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		family := packet.IPv4
		if filepath.Ext(path) == ".v6" {
			family = packet.IPv6
		}
		judge(t, &sum, Options{Title: path, Family: family, Text: text, Packets: number(*packets, 80, 1000), Seed: *seed, Converse: true})
	}
	t.Logf("styles: %s", &sum)
	if sum.refused > 0 {
		t.Errorf("netfilter refuses %d styles", sum.refused)
	}
}
