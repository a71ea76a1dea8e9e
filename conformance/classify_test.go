package conformance

import (
	"errors"
	"flag"
	"fmt"
	"math/rand"
	randv2 "math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/interp"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/plan"
)

var lookups = flag.Int("lookups", 0, "how many packets all classifiers judge; 0: what fits the run")

// TestClassifiers: rules that are looked up do what the same rules do one after the
// other: verdict, rule that decides, notes and counters, by every classifier.
func TestClassifiers(t *testing.T) {
	needRoot(t)
	if _, err := Corpus(root); err != nil && os.Getenv("REQUIRE_KERNEL") != "" {
		t.Fatal(err) // a part of the chains is made of it
	}
	want := number(*lookups, 5_000, 1_000_000)
	judged, refused := 0, 0
	for i := int64(0); judged < want && !t.Failed(); i++ {
		r := rand.New(rand.NewSource(*seed*1_000_000 + i))
		family := []packet.Family{packet.IPv4, packet.IPv6}[i%2]
		text := chains(t, r, family, i)
		n, err := sameByAll(t, r, family, text, fmt.Sprintf("seed %d, ruleset %d", *seed, i), nil)
		if errors.Is(err, errNotInBPF) {
			refused++
			t.Log(err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		judged += n
	}
	t.Logf("%d packets; %d rulesets that BPF does not run", judged, refused)
}

// chains makes a ruleset of some kind.
func chains(t *testing.T, r *rand.Rand, family packet.Family, i int64) string {
	t.Helper()
	kinds := []shapes.Kind{shapes.ACL, shapes.FW, shapes.IPC}
	if n := int(i / 2 % 6); n < len(kinds) {
		set, err := shapes.New(shapes.Options{Kind: kinds[n], Family: family, Rules: 30 + r.Intn(400), Seed: uint64(*seed*1_000_000 + i),
			Targets: []string{"ACCEPT", "DROP", "DROP", ""}})
		if err != nil {
			t.Fatal(err)
		}
		set.Roughen(randv2.New(randv2.NewPCG(uint64(i), 1)), 4, []string{"eth0", "eth+", "wlan0"})
		text := set.Text(shapes.Frame{Policy: "DROP"})
		return strings.ReplaceAll(text, " -j \n", "\n")
	}
	if i/2%6 == int64(len(kinds)) {
		if text := corpusChains(r, family); text != "" {
			return text
		}
	}
	return gen.Chains(r, family, 10+r.Intn(150))
}

var errNotInBPF = errors.New("the table does not run in BPF")

// judges are the same rules in all forms, for one hook.
type judges struct {
	rs      *ruleset.Ruleset
	ways    []*way
	machine *interp.Machine
	world   *packet.World // of machine
}

// way is the rules by one classifier.
type way struct {
	name   string
	res    *translate.Result
	runner *attach.Runner
	names  map[uint32]string // of rules and policies by counter slot
}

func newJudges(rs *ruleset.Ruleset, hook packet.Hook) (*judges, error) {
	family := rs.Family
	j := &judges{rs: rs, machine: interp.New(family, rs.Tables[0], interp.ByLower), world: &packet.World{State: map[any]any{}}}
	j.machine.Load(j.world)
	interp.LoadSets(j.world, rs.Sets)
	for _, how := range []translate.Classifier{translate.ClassifyCode, translate.ClassifyTuples, translate.ClassifyTree, translate.ClassifyAuto, translate.ClassifyRows} {
		w := &way{name: translate.ClassifierNames[how]}
		w.res = translate.Translate(rs, translate.Options{Text: iptables.PrintRule, Classifier: how, Can: shim.Can})
		if !w.res.Plan.Tables[0].InBPF {
			return nil, errors.Join(fmt.Errorf("%w: %s", errNotInBPF, w.res.Plan.Tables[0].Reasons[0]), j.close())
		}
		progs, err := generated(w.res.Plan)
		if err != nil {
			return nil, errors.Join(err, j.close())
		}
		i := slices.IndexFunc(progs, func(p codegen.Program) bool { return p.Hook == hook })
		if w.runner, err = attach.NewRunner(&progs[i], 1000); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", w.name, err), j.close())
		}
		w.nameSlots()
		j.ways = append(j.ways, w)
	}
	return j, nil
}

// nameSlots gives counter slots names that are the same in all ways.
func (w *way) nameSlots() {
	w.names = map[uint32]string{}
	for r, id := range w.res.Rules {
		w.names[id] = r.Pos.String()
	}
	for c, id := range w.res.Policies {
		w.names[id] = "policy of " + c.Name
	}
}

func (j *judges) close() error {
	var errs []error
	for _, w := range j.ways {
		errs = append(errs, w.runner.Close())
	}
	return errors.Join(errs...)
}

// sameByAll draws packets for a ruleset, which change may change, and has them judged; n is
// how many.
func sameByAll(t *testing.T, r *rand.Rand, family packet.Family, text, title string, change func(*ruleset.Ruleset)) (n int, err error) {
	t.Helper()
	hook := packet.Input + packet.Hook(r.Intn(3))
	if !strings.Contains(text, "-A "+hook.String()) {
		hook = packet.Input
	}
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{Family: family, Resolver: iptables.NewResolver()})
	if err != nil {
		return 0, err
	}
	if change != nil {
		change(rs)
	}
	j, err := newJudges(rs, hook)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	d := gen.New(family, text, []string{"eth0", "eth1", "wlan0"}, r.Int63())
	for range number(0, 300, 10_000) {
		for _, p := range d.Draw() {
			f := atHook(everywhere(r, p.Facts), hook)
			if r.Intn(3) == 0 {
				f = gen.Mutate(r, f)
			}
			if f == nil || len(f.Raw) > 2000 || int(f.Len) < len(f.Raw) {
				continue
			}
			f.World = &packet.World{Jiffies: j.world.Jiffies, Random: j.world.Random}
			j.tick(r)
			n++
			if err := j.judge(f); err != nil {
				t.Errorf("%s: %s\n%v\n%s", title, f, err, keepText(text))
				return n, nil
			}
		}
	}
	if err := j.compareCounters(); err != nil {
		t.Errorf("%s: %v\n%s", title, err, keepText(text))
	}
	return n, nil
}

// keepText keeps a ruleset that failed, and says where.
func keepText(text string) string {
	f, err := os.CreateTemp("", "bpftables-classify-*.rules")
	if err != nil {
		return text
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return text
	}
	return "rules in " + f.Name()
}

// tick lets time pass and draws the chance for the next packet.
func (j *judges) tick(r *rand.Rand) {
	j.world.Jiffies += uint64(r.Intn(400))
	chance := r.Uint32() & 0x7fffffff
	j.world.Random = func() uint32 { return chance }
}

// atHook moves a packet to a hook.
func atHook(f *packet.Facts, hook packet.Hook) *packet.Facts {
	if f.Hook == hook {
		return f
	}
	f.Hook, f.In.Name, f.Out.Name = hook, "eth0", "eth1"
	switch hook {
	case packet.Input:
		f.Out.Name = ""
	case packet.Output:
		f.In.Name = ""
	}
	if hook != packet.Output {
		f.Sock = nil
	}
	return f
}

// judge has one packet judged by all.
func (j *judges) judge(f *packet.Facts) error {
	mine := *f
	mine.World = j.world
	f.World.Jiffies, f.World.Random = j.world.Jiffies, j.world.Random
	want, err := j.expected(&mine)
	if err != nil {
		return err
	}
	for _, w := range j.ways {
		out, err := w.runner.Run(f)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		if got := w.outcome(out); got != want {
			return fmt.Errorf("%s: %s, want %s", w.name, got, want)
		}
	}
	return nil
}

// expected is what the rules one after the other say.
func (j *judges) expected(f *packet.Facts) (string, error) {
	res := j.machine.Run(f)
	actions := []uint32{}
	table := j.ways[0].res.Plan.Tables[0]
	for _, e := range res.Effects {
		if _, own := e.(pred.SetUpdate); own {
			continue // the programs do it themselves
		}
		i := slices.IndexFunc(table.Actions, func(a plan.Action) bool { return a.Effect == e })
		if i < 0 {
			return "", fmt.Errorf("%s is not an action of the plan", e)
		}
		actions = append(actions, uint32(i))
	}
	by := "policy of " + res.Chain
	if res.Decider != nil {
		by = res.Decider.Pos.String()
	}
	switch {
	case res.Hotdrop:
		return resultText("hotdrop", "no rule", actions), nil
	case res.Verdict == interp.Accept:
		return resultText("accept", by, actions), nil
	}
	return resultText("drop", by, actions), nil
}

// outcome is what one way says, in the same words.
func (w *way) outcome(o *attach.Outcome) string {
	switch o.Verdict {
	case abi.Hotdrop:
		return resultText("hotdrop", "no rule", o.Actions)
	case abi.Accept:
		return resultText("accept", w.names[o.Rule], o.Actions)
	case abi.Drop:
		return resultText("drop", w.names[o.Rule], o.Actions)
	}
	return fmt.Sprintf("verdict %d", o.Verdict)
}

func resultText(verdict, by string, actions []uint32) string {
	return fmt.Sprintf("%s by %s, actions %v", verdict, by, actions)
}

// compareCounters compares the counters of all rules and policies.
func (j *judges) compareCounters() error {
	for _, w := range j.ways {
		got, err := w.runner.Counters()
		if err != nil {
			return err
		}
		for r := range parts(j.rs) {
			id, planned := w.res.Rules[r]
			if !planned {
				continue // no packet meets it
			}
			if c := j.machine.Rules[r]; got[id] != (abi.Counter{Packets: c.Packets, Bytes: c.Bytes}) {
				return fmt.Errorf("%s: rule %d (%s) counted %v, want %v", w.name, id, r.Pos, got[id], c)
			}
		}
		for _, chain := range j.rs.Tables[0].Chains {
			id, planned := w.res.Policies[chain]
			if !planned {
				continue
			}
			if c := j.machine.Policies[chain]; got[id] != (abi.Counter{Packets: c.Packets, Bytes: c.Bytes}) {
				return fmt.Errorf("%s: policy of %s counted %v, want %v", w.name, chain.Name, got[id], c)
			}
		}
	}
	return nil
}

// generated makes the programs of a plan, with what they look up.
func generated(p *plan.Plan) ([]codegen.Program, error) {
	image, err := codegen.Image(p, rows.Drawn())
	if err != nil {
		return nil, err
	}
	return codegen.Generate(p, image)
}
