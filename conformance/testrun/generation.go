package testrun

import (
	"encoding/json"
	"errors"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/engine/datapath"
)

// generation is one that was loaded or opened.
type generation struct {
	d      *Datapath
	number uint32
	image  *rows.Image
	*programs
}

// Number is the number of the generation.
func (g *generation) Number() uint32 { return g.number }

// Record is the hooks of the programs.
func (g *generation) Record() (json.RawMessage, error) {
	hooks := []string{}
	for _, r := range g.runners {
		hooks = append(hooks, r.Hook().String())
	}
	data, err := json.Marshal(hooks)
	return data, errors.Join(err, g.d.kernel.failing(g.d.family, "record"))
}

// Row is the first row of a rule.
func (g *generation) Row(slot uint32) uint32 {
	if g.image == nil {
		return 0
	}
	return g.image.First[slot]
}

// Install keeps the programs for who opens the generation.
func (g *generation) Install() error {
	if err := g.d.kernel.failing(g.d.family, "install"); err != nil {
		return err
	}
	if !g.d.claimed {
		return errors.New("install: not claimed")
	}
	if g.d.installed[g.number] != nil { // of a process that was killed
		if err := g.d.remove(g.number); err != nil {
			return err
		}
	}
	g.users++
	g.d.installed[g.number] = g.programs
	return g.d.kernel.failing(g.d.family, "installed")
}

// GoOn copies what limits and nths remember.
func (g *generation) GoOn(from datapath.Generation, m datapath.Memory) error {
	before := from.(*generation)
	if len(g.runners) == 0 || len(before.runners) == 0 {
		return nil
	}
	return g.runners[0].GoOn(before.runners[0], m.Limits, m.Nths)
}

// Activate makes packets meet the programs.
func (g *generation) Activate() error {
	if err := g.d.kernel.failing(g.d.family, "activate"); err != nil {
		return err
	}
	g.d.live = g.number
	return nil
}

// Version counts the changes in place.
func (g *generation) Version() (uint32, error) {
	if len(g.runners) == 0 {
		return 0, nil
	}
	return g.runners[0].Version()
}

// Counters are those of all programs.
func (g *generation) Counters(left []datapath.Left) (*datapath.Counters, error) {
	out := &datapath.Counters{}
	if len(g.runners) == 0 {
		return out, nil
	}
	var err error
	out.Slots, err = g.runners[0].Counters()
	return out, err
}

// Widen is what it cannot.
func (g *generation) Widen([]int, uint64) error { return datapath.ErrAnew }

// Classes opens what the programs look up.
func (g *generation) Classes() (datapath.Classes, error) {
	if len(g.runners) == 0 {
		return nil, nil
	}
	c, err := g.runners[0].Classes()
	if err != nil || c == nil {
		return nil, err
	}
	return classes{c}, nil
}

// Close releases the programs.
func (g *generation) Close() error { return g.release() }

type classes struct{ *attach.Classes }

// Rows is the memory of the rows.
func (c classes) Rows() *edit.Chains { return c.Chains }
