package attach

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/bpf/rewrite"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate/plan"
)

// Runner runs one generated program on given facts, with BPF_PROG_TEST_RUN: no packet
// is sent and nothing is attached. Limits, lists and counters live as long as it.
type Runner struct {
	family packet.Family
	hook   packet.Hook
	prog   *ebpf.Program
	*memory
}

// memory is what the programs of a plan share.
type memory struct {
	maps   maps.Set
	sets   namedSets
	given  *ebpf.Map
	result *ebpf.Map
	users  int // runners that are open
}

// Outcome is what a program did with a packet.
type Outcome struct {
	Verdict  int32    // abi.Accept, abi.Drop, abi.Hotdrop or abi.Continue
	Rule     uint32   // that decided; valid for Accept and Drop
	Actions  []uint32 // noted for netfilter's own targets, in order
	Overflow bool     // more than fit into a note: the packet is dropped
}

// probeObject is the test program, parsed once.
var probeObject = sync.OnceValues(func() (*ebpf.CollectionSpec, error) {
	spec, err := abi.LoadProbe()
	if err != nil {
		return nil, err
	}
	return spec, innerMaps(spec)
})

// NewRunner loads a program. ticks is the clock rate of the facts that it will be given
// (packet.World.Ticks).
func NewRunner(p *codegen.Program, ticks uint64) (*Runner, error) {
	all, err := NewRunners([]codegen.Program{*p}, ticks, nil)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// NewRunners loads the programs of a plan, which count and remember together. Named sets are
// those in sets, which gets those that are new; nil: all are new.
func NewRunners(progs []codegen.Program, ticks uint64, sets *RunnerSets) (out []*Runner, err error) {
	all, err := probeObject()
	if err != nil {
		return nil, fmt.Errorf("test program: %w", err)
	}
	m := &memory{}
	if err := m.make(all, progs, uint32(ticks), sets); err != nil {
		return nil, errors.Join(err, m.close())
	}
	for i := range progs {
		r := &Runner{family: progs[i].Family, hook: progs[i].Hook, memory: m}
		m.users++
		out = append(out, r)
		if err := r.load(all, &progs[i], uint32(ticks)); err != nil {
			for _, r := range out {
				err = errors.Join(err, r.Close())
			}
			return nil, err
		}
	}
	return out, nil
}

func (r *Runner) load(all *ebpf.CollectionSpec, p *codegen.Program, ticks uint32) (err error) {
	spec, prog := part(all, abi.ProbeProgProbe)
	if prog.Instructions, err = rewrite.Fill(prog.Instructions, generated(p), nil, abi.FuncChain, abi.FuncLead); err != nil {
		return err
	}
	values := seatVariables(seat{hook: p.Hook}, 1)
	values[abi.ProbeVarFamily] = uint32(p.Family)
	values[abi.ProbeVarNeeds] = reads(p)
	values[abi.ProbeVarAtomic] = boolean(p.Atomic)
	values[abi.ProbeVarBaseClass] = uint32(p.Base)
	setLead(values, p)
	values[abi.ProbeVarLoops] = boolean(p.Looks)
	values[abi.ProbeVarHz] = ticks
	values[abi.ProbeVarCreditsPerJiffy] = maps.CreditsPerJiffy(ticks)
	if err := set(spec, values); err != nil {
		return err
	}
	if err := setClasses(spec, p.Image, p.Ops); err != nil {
		return err
	}
	given := map[string]*ebpf.Map{abi.ProbeMapGiven: r.given, abi.ProbeMapOutcomes: r.result}
	for name, m := range r.maps {
		given[name] = m
	}
	if r.prog, err = load(spec, prog, given); err != nil {
		return refused(p, prog.Instructions, err)
	}
	return nil
}

func (m *memory) make(spec *ebpf.CollectionSpec, progs []codegen.Program, ticks uint32, sets *RunnerSets) error {
	st, err := states(progs)
	if err != nil {
		return err
	}
	st.HZ, st.ControlGroup = ticks, givenGroup
	if m.sets, err = openSets(spec.Maps, st, sets.find); err != nil {
		return err
	}
	if err := sets.add(m.sets); err != nil {
		return err
	}
	if err := m.sets.grow(); err != nil {
		return err
	}
	if m.maps, err = maps.New(spec.Maps, st); err != nil {
		return err
	}
	if m.given, err = ebpf.NewMap(spec.Maps[abi.ProbeMapGiven].Copy()); err != nil {
		return err
	}
	m.result, err = ebpf.NewMap(spec.Maps[abi.ProbeMapOutcomes].Copy())
	return err
}

func (m *memory) close() error {
	errs := []error{m.maps.Close(), m.sets.Close()}
	for _, one := range []*ebpf.Map{m.given, m.result} {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	return errors.Join(errs...)
}

// Hook is the hook whose packets the program is for.
func (r *Runner) Hook() packet.Hook { return r.hook }

// Close frees the program, and with the last one all that they share.
func (r *Runner) Close() error {
	var errs []error
	if r.prog != nil {
		errs = append(errs, r.prog.Close())
	}
	if r.users--; r.users == 0 {
		errs = append(errs, r.memory.close())
	}
	return errors.Join(errs...)
}

// Counters are the counters of the rules of all programs that were loaded together.
func (r *Runner) Counters() ([]abi.Counter, error) {
	return maps.Counters(r.maps[abi.NetfilterMapCounters])
}

// ethernet is what the kernel strips from the packet of a test run, except at OUTPUT.
var ethernet = map[packet.Family][14]byte{
	packet.IPv4: {12: 0x08, 13: 0x00},
	packet.IPv6: {12: 0x86, 13: 0xdd},
}

// Run gives the program one packet.
func (r *Runner) Run(f *packet.Facts) (*Outcome, error) {
	if err := r.run(f, 1); err != nil {
		return nil, err
	}
	return r.outcome()
}

// Time gives the program one packet many times, and tells how long one run takes.
func (r *Runner) Time(f *packet.Facts, times uint32) (time.Duration, error) {
	begin := time.Now()
	if err := r.run(f, times); err != nil {
		return 0, err
	}
	return time.Since(begin) / time.Duration(times), nil
}

func (r *Runner) run(f *packet.Facts, times uint32) error {
	if err := r.given.Put(uint32(0), given(f)); err != nil {
		return fmt.Errorf("facts: %w", err)
	}
	data := f.Raw
	if r.hook != packet.Output {
		link := ethernet[r.family]
		data = append(link[:], f.Raw...)
	}
	// struct nf_hook_state begins with the hook and the protocol family
	// (include/linux/netfilter.h).
	state := make([]byte, 48)
	state[0], state[1] = uint8(r.hook), 2
	if r.family == packet.IPv6 {
		state[1] = 10
	}
	ret, err := r.prog.Run(&ebpf.RunOptions{Data: data, Context: state, Repeat: times})
	if err != nil {
		return fmt.Errorf("test run: %w", err)
	}
	if ret == 0 {
		return fmt.Errorf("test run: the IP header is not whole")
	}
	return nil
}

func (r *Runner) outcome() (*Outcome, error) {
	var o abi.ProbeOutcome
	if err := r.result.Lookup(uint32(0), &o); err != nil {
		return nil, fmt.Errorf("outcome: %w", err)
	}
	return &Outcome{
		Verdict: int32(o.Verdict), Rule: o.Rule, Overflow: o.Overflow != 0, Actions: noted(o.Actions[:o.N]),
	}, nil
}

// noted are the actions of a note, each as often as it is to be run.
func noted(words []uint32) []uint32 {
	out := make([]uint32, 0, len(words))
	for _, w := range words {
		if w&plan.NoteRepeats == 0 {
			out = append(out, w)
			continue
		}
		for range w &^ plan.NoteRepeats {
			out = append(out, out[len(out)-1])
		}
	}
	return out
}
