package testrun

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate"
)

// ticks is the clock rate of packets.
const ticks = 1000

// Datapath runs the rules of one family.
type Datapath struct {
	kernel *Kernel
	*host
}

// Can says that changes of sets are run, and nothing else that is no verdict.
func (d *Datapath) Can(*ruleset.Ruleset) (datapath.Can, error) {
	return datapath.Can{Effect: effect, Base: translate.AtHooks}, nil
}

func effect(e pred.Effect, _ uint8) (translate.How, string) {
	if _, is := e.(pred.SetUpdate); is {
		return translate.Own, ""
	}
	return translate.Never, "a test run changes nothing"
}

// Prepare does nothing.
func (d *Datapath) Prepare() {}

// Load loads the programs of a plan.
func (d *Datapath) Load(in *datapath.Input) (datapath.Generation, error) {
	p := in.Result.Plan
	for i, t := range p.Tables {
		if !t.InBPF && slices.ContainsFunc(in.Rules.Tables[i].Chains, func(c *ruleset.Chain) bool { return len(c.Rules) > 0 }) {
			return nil, fmt.Errorf("table %s: a test run cannot run it: %v", t.Name, t.Reasons)
		}
	}
	image, err := codegen.Image(p, rows.Drawn())
	if err != nil {
		return nil, err
	}
	progs, err := codegen.Generate(p, image)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(progs, func(a, b codegen.Program) int {
		return cmp.Or(cmp.Compare(a.Hook, b.Hook), cmp.Compare(a.Priority, b.Priority))
	})
	g := &generation{d: d, number: in.Number, image: image, programs: &programs{users: 1}}
	if g.runners, err = attach.NewRunners(progs, ticks, &d.kernel.sets); err != nil {
		return nil, err
	}
	image.Release()
	return g, errors.Join(d.kernel.failing(d.family, "load"))
}

// Check loads programs and throws them away.
func (d *Datapath) Check(in *datapath.Input, _ func(func() error) error) error {
	g, err := d.Load(in)
	if err != nil {
		return err
	}
	return g.Close()
}

// Next is one more than what is enforced.
func (d *Datapath) Next() (uint32, error) { return d.live + 1, nil }

// Enforced is what is enforced.
func (d *Datapath) Enforced() (uint32, error) { return d.live, nil }

// Current opens what is enforced.
func (d *Datapath) Current() (datapath.Generation, error) {
	if d.live == 0 {
		return nil, nil
	}
	return d.Open(d.live)
}

// Open opens what was installed.
func (d *Datapath) Open(number uint32) (datapath.Generation, error) {
	p := d.installed[number]
	if p == nil {
		return nil, nil
	}
	p.users++
	return &generation{d: d, number: number, programs: p}, nil
}

// Quiesce has nothing to wait for: packets come when they are asked for.
func (d *Datapath) Quiesce() error { return nil }

// Retire removes what is not enforced.
func (d *Datapath) Retire(live *datapath.Live) error {
	if !d.claimed {
		return errors.New("retire: not claimed")
	}
	if live == nil {
		d.live = 0
	}
	var errs []error
	for number := range d.installed {
		if number != d.live {
			errs = append(errs, d.remove(number))
		}
	}
	return errors.Join(append(errs, d.kernel.keepSets(), d.kernel.makeDir(d.family))...)
}

// Set opens a set of a generation.
func (d *Datapath) Set(s *ruleset.Set) (datapath.Set, error) {
	in, err := d.kernel.sets.Named(s.Name, s.KeyLen())
	if err != nil || in == nil {
		return nil, err
	}
	return keySet{in}, nil
}

type keySet struct{ *maps.KeySet }

// Elements are what is in the set.
func (s keySet) Elements() (out []ruleset.Element, err error) {
	all, err := s.KeySet.Elements()
	for _, e := range all {
		out = append(out, ruleset.Element(e))
	}
	return out, err
}

// List opens a list of -m recent of a generation.
func (d *Datapath) List(name string) (datapath.List, error) {
	l, err := d.kernel.sets.List(name)
	if err != nil || l == nil {
		return nil, err
	}
	return list{l}, nil
}

// Lists are the names of these lists.
func (d *Datapath) Lists() ([]string, error) { return d.kernel.sets.Lists(), nil }

type list struct{ *maps.List }

// Entries are the addresses in it.
func (l list) Entries() (out []datapath.Seen, err error) {
	all, err := l.List.Entries()
	for _, e := range all {
		out = append(out, datapath.Seen(e))
	}
	return out, err
}

// Extend is what it cannot: its runners have the effects of their programs.
func (d *Datapath) Extend(*datapath.Live, string, []datapath.Base, datapath.Effects, int, int) (json.RawMessage, error) {
	return nil, datapath.ErrAnew
}

// AddTable is what it cannot, either.
func (d *Datapath) AddTable(*datapath.Live, *ruleset.Table, func(int) bool) ([]datapath.Base, json.RawMessage, error) {
	return nil, nil, datapath.ErrAnew
}

// Track has nothing to switch on: what is known of connections comes with the packets.
func (d *Datapath) Track() error { return nil }

// Untrack has nothing to end.
func (d *Datapath) Untrack(*datapath.Live) error { return nil }

// Names is false: nobody is asked for what rules name.
func (d *Datapath) Names(*ruleset.Place) bool { return false }

// Hold holds nothing.
func (d *Datapath) Hold(*datapath.Live, []datapath.Unmet, []datapath.Unmet) error { return nil }

// Lost is what Kernel.Lose has taken.
func (d *Datapath) Lost(*datapath.Live) ([]string, error) { return d.lost, nil }

// Mend puts it back.
func (d *Datapath) Mend(*datapath.Live) error {
	d.mended += len(d.lost)
	d.lost = nil
	return nil
}

// Drift says that nothing is made for a namespace.
func (d *Datapath) Drift(*datapath.Live) (datapath.Drift, error) { return datapath.Fits, nil }

// Follow has nothing to follow.
func (d *Datapath) Follow(*datapath.Live) error { return nil }

// Sweep has nothing to remove.
func (d *Datapath) Sweep() error { return nil }

// Status counts programs, and gives back what was recorded of them.
func (d *Datapath) Status(live *datapath.Live) (*datapath.Status, error) {
	out := &datapath.Status{}
	if live == nil {
		return out, nil
	}
	var hooks []string
	if err := json.Unmarshal(live.Record, &hooks); err != nil {
		return nil, err
	}
	out.Usage.Programs, out.Usage.Hooks = len(d.installed[d.live].runners), hooks
	return out, nil
}

// Dir is where the state lies.
func (d *Datapath) Dir() string { return d.kernel.dir(d.family) }

// MarkFile lies beside the state.
func (d *Datapath) MarkFile() string { return filepath.Join(d.Dir(), "enforced") }

// Identity is the same for all.
func (d *Datapath) Identity() string { return "test" }

// Pins is nowhere.
func (d *Datapath) Pins() string { return "" }

// Claim makes the directory of the state.
func (d *Datapath) Claim() error {
	d.claimed = true
	return d.kernel.makeDir(d.family)
}

// Release ends what Claim began.
func (d *Datapath) Release() error {
	d.claimed = false
	return nil
}

// Claimed says whether it is claimed.
func (d *Datapath) Claimed() bool { return d.claimed }

// For has no tools to look for.
func (d *Datapath) For([]string) {}

// Fresh is always so.
func (d *Datapath) Fresh() bool { return true }

// Close holds nothing open.
func (d *Datapath) Close() error { return nil }
