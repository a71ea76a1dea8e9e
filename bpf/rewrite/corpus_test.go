package rewrite_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/rewrite"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/conformance"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/translate"
)

// TestCorpus rewrites the programs of all rulesets of the corpus. What is left must do the same
// as the whole datapath with the same chain, and say so when it is run.
func TestCorpus(t *testing.T) {
	spec, err := abi.LoadNetfilter()
	if err != nil {
		t.Fatal(err)
	}
	programs, ended, events := 0, 0, 0
	for _, f := range conformance.MustCorpus(t, "../..") {
		for _, p := range programsOf(f) {
			n, e, err := same(spec, &p)
			if err != nil {
				t.Errorf("%s: %s %s: %v", f.Name, p.Table, p.Hook, err)
			}
			programs++
			ended += n
			events += e
		}
	}
	t.Logf("%d programs, %d runs to their end, %d events", programs, ended, events)
	if programs < 300 || ended < programs {
		t.Error("too few programs were run")
	}
}

// programsOf are the programs of a ruleset in which nothing is looked up.
func programsOf(f conformance.CorpusFile) []codegen.Program {
	rs, _, err := iptables.Read(bytes.NewReader(f.Text), iptables.Options{Family: f.Family, Resolver: iptables.NewResolver()})
	if err != nil {
		return nil
	}
	res := translate.Translate(rs, translate.Options{Text: iptables.PrintRule, Classifier: translate.ClassifyCode, Can: shim.Can})
	progs, err := codegen.Generate(res.Plan, nil)
	if err != nil {
		return nil
	}
	return progs
}

const runs = 4

// same runs a program rewritten and whole; it gives how many runs came to an end, and how much
// happened in them.
func same(spec *ebpf.CollectionSpec, p *codegen.Program) (ended, events int, err error) {
	for name, v := range map[string]uint32{
		abi.NetfilterVarFamily: uint32(p.Family), abi.NetfilterVarNeeds: p.Needs, abi.NetfilterVarHookNumber: uint32(p.Hook),
		abi.NetfilterVarAtomic: p.Needs & 1, abi.NetfilterVarShim: uint32(len(p.Insns)) & 1, abi.NetfilterVarGen: 7, abi.NetfilterVarLeads: uint32(min(1, len(p.Lead.Insns))),
	} {
		if err := spec.Variables[name].Set(v); err != nil {
			return 0, 0, err
		}
	}
	known, generated := rewrite.ConstantsOf(spec), slices.Concat(p.Insns, p.Lead.Insns)
	datapath := spec.Programs[abi.NetfilterProgHook].Instructions
	whole, err := rewrite.Fill(datapath, generated, nil, "chain", "lead")
	if err != nil {
		return 0, 0, err
	}
	less, err := rewrite.FillInline(datapath, generated, known, "chain", "lead")
	if err != nil {
		return 0, 0, err
	}
	if len(less) >= len(whole) {
		return 0, 0, fmt.Errorf("%d instructions are rewritten to %d", len(whole), len(less))
	}
	for seed := range uint64(runs) {
		a, b := newMachine(whole, known, seed), newMachine(less, known, seed)
		endA, errA := a.run(20_000)
		endB, errB := b.run(20_000)
		if errA != nil || errB != nil {
			return ended, events, fmt.Errorf("whole: %v, rewritten: %v", errA, errB)
		}
		n := min(len(a.events), len(b.events))
		if !slices.Equal(a.events[:n], b.events[:n]) || endA && endB && len(a.events) != len(b.events) {
			return ended, events, fmt.Errorf("seed %d: whole: %v, rewritten: %v", seed, a.events, b.events)
		}
		events += n
		if endA && endB {
			ended++
		}
	}
	return ended, events, nil
}
