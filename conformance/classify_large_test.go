package conformance

import (
	"fmt"
	randv2 "math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

var lookedUp = []translate.Classifier{translate.ClassifyAuto, translate.ClassifyTuples, translate.ClassifyTree}

// TestLargeClassifiers compares large rulesets of known shape with the first rule that
// matches, as package shapes has it.
func TestLargeClassifiers(t *testing.T) {
	needRoot(t)
	n := number(0, 3000, 100_000)
	for _, kind := range []shapes.Kind{shapes.Same, shapes.ACL, shapes.FW, shapes.IPC} {
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			l := newLarge(t, kind, family, n)
			for _, how := range lookedUp {
				l.compare(t, how)
			}
		}
	}
}

// large is a ruleset with its packets.
type large struct {
	set   *shapes.Ruleset
	res   *translate.Result
	facts []*packet.Facts
	first []int // rule that decides, -1: the policy
}

func newLarge(t testing.TB, kind shapes.Kind, family packet.Family, n int) *large {
	t.Helper()
	set, err := shapes.New(shapes.Options{Kind: kind, Family: family, Rules: n, Seed: uint64(*seed)})
	if err != nil {
		t.Fatal(err)
	}
	l := &large{set: set}
	r := randv2.New(randv2.NewPCG(uint64(*seed), 3))
	for range number(*packets, 200, 1000) {
		h := set.Draw(r)
		if r.IntN(4) == 0 {
			h.Dst = h.Src
		}
		raw, err := h.Packet(100)
		if err != nil {
			t.Fatal(err)
		}
		f, ok := packet.Decode(family, raw)
		if !ok {
			t.Fatalf("not a packet: %x", raw)
		}
		f.Hook, f.In.Name, f.CtState = packet.Input, "eth0", packet.CtNew
		l.facts, l.first = append(l.facts, f), append(l.first, set.First(&h))
	}
	return l
}

// translate makes the plan by one classifier.
func (l *large) translate(t testing.TB, how translate.Classifier) *translate.Result {
	t.Helper()
	text := l.set.Text(shapes.Frame{Policy: "ACCEPT"})
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{Family: l.set.Family, Resolver: iptables.NewResolver()})
	if err != nil {
		t.Fatal(err)
	}
	res := translate.Translate(rs, translate.Options{Classifier: how, Can: shim.Can})
	l.res = res
	return res
}

func (l *large) runner(t testing.TB, how translate.Classifier) *attach.Runner {
	t.Helper()
	progs, err := generated(l.translate(t, how).Plan)
	if err != nil {
		t.Fatal(err)
	}
	for i := range progs {
		if progs[i].Hook == packet.Input {
			r, err := attach.NewRunner(&progs[i], 1000)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
	}
	t.Fatal("no program for INPUT")
	return nil
}

func (l *large) compare(t *testing.T, how translate.Classifier) {
	t.Helper()
	runner := l.runner(t, how)
	defer runner.Close()
	class := l.res.Plan.Classes[0]
	var ids []uint32
	for r := range class.All() {
		ids = append(ids, r.ID)
	}
	for i, f := range l.facts {
		out, err := runner.Run(f)
		if err != nil {
			t.Fatal(err)
		}
		want := class.Policy.ID
		if l.first[i] >= 0 {
			want = ids[l.first[i]]
		}
		if out.Rule != want {
			t.Fatalf("%s: %s: rule %d, want %d", translate.ClassifierNames[how], f, out.Rule, want)
		}
	}
}

// BenchmarkLookup measures a lookup by test runs of one packet after the other, each some
// times: what the structures cost beside each other.
func BenchmarkLookup(b *testing.B) {
	for _, c := range []struct {
		kind shapes.Kind
		n    int
	}{{shapes.Same, 10}, {shapes.Same, 10_000}, {shapes.ACL, 100}, {shapes.ACL, 1000}, {shapes.ACL, 10_000}, {shapes.FW, 100}, {shapes.FW, 1000},
		{shapes.FW, 10_000}, {shapes.IPC, 1000}, {shapes.IPC, 10_000}, {shapes.ACL, 100_000}, {shapes.FW, 100_000}, {shapes.IPC, 100_000}} {
		l := newLarge(b, c.kind, packet.IPv4, c.n)
		for _, how := range lookedUp {
			b.Run(fmt.Sprintf("%s-%d/%s", c.kind, c.n, translate.ClassifierNames[how]), func(b *testing.B) {
				runner := l.runner(b, how)
				defer runner.Close()
				var sum time.Duration
				for b.Loop() {
					sum = 0
					for _, f := range l.facts {
						sum += quickest(b, runner, f)
					}
				}
				b.ReportMetric(float64(sum.Nanoseconds())/float64(len(l.facts)), "ns/lookup")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// quickest is the least time of a few runs: others use the machine, too.
func quickest(b *testing.B, runner *attach.Runner, f *packet.Facts) time.Duration {
	best := time.Hour
	for range 15 {
		one, err := runner.Time(f, 500)
		if err != nil {
			b.Fatal(err)
		}
		best = min(best, one)
	}
	return best
}

// BenchmarkBuild measures how rows are laid out, and says what came out.
func BenchmarkBuild(b *testing.B) {
	for _, c := range []struct {
		kind shapes.Kind
		n    int
	}{{shapes.Same, 130_000}, {shapes.ACL, 10_000}, {shapes.FW, 10_000}, {shapes.IPC, 10_000}, {shapes.ACL, 100_000}, {shapes.FW, 100_000}, {shapes.IPC, 100_000}} {
		for _, how := range lookedUp {
			b.Run(fmt.Sprintf("%s-%d/%s", c.kind, c.n, translate.ClassifierNames[how]), func(b *testing.B) {
				set, err := shapes.New(shapes.Options{Kind: c.kind, Family: packet.IPv4, Rules: c.n, Seed: 1})
				if err != nil {
					b.Fatal(err)
				}
				p := (&large{set: set}).translate(b, how).Plan
				for b.Loop() {
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					image, err := rows.Build(p, abi.NeedL4|abi.NeedIif|abi.NeedOif|abi.NeedCt, rows.Drawn())
					if err != nil {
						b.Fatal(err)
					}
					runtime.ReadMemStats(&after)
					d := image.Index[abi.HeaderSize:]
					b.ReportMetric(float64(d[abi.ChainNTuples]), "tables")
					b.ReportMetric(float64(d[abi.ChainNTrees]), "trees")
					b.ReportMetric(float64(4*len(image.Index))/float64(c.n), "index-B/rule")
					b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(c.n), "alloc-B/rule")
				}
			})
		}
	}
}
