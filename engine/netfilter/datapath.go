// Package netfilter enforces rules at the hooks of netfilter: a program of a base chain
// stands right before where the chain is there, and what programs cannot do,
// netfilter does behind them.
//
// In: the plan of a family. Out: a generation of programs (package attach), and what
// netfilter is given for it: chains of a table of our own in nf_tables, which run targets
// that the programs note, and whole tables of iptables-legacy. Refused: a table whose
// programs the kernel's verifier does not take. It is the first of the engine's datapaths.
package netfilter

import (
	"errors"
	"os"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

// Datapath is the rules of one family at the hooks of the current network namespace.
type Datapath struct {
	family    packet.Family
	space     *attach.Space
	netfilter netfilter
}

// Open gives the datapath of the current network namespace.
func Open(family packet.Family) (datapath.Datapath, error) {
	space, err := attach.Open(family)
	if err != nil {
		return nil, err
	}
	d := &Datapath{family: family, space: space}
	d.For(os.Environ())
	return d, nil
}

// For says where netfilter's tools are looked for.
func (d *Datapath) For(env []string) {
	d.netfilter = netfilter{
		family: d.family, own: anchor.Of(d.family),
		tools: tools{family: d.family, env: env},
	}
}

// Can says what the programs run, and what they tell netfilter to.
func (d *Datapath) Can(rs *ruleset.Ruleset) (datapath.Can, error) {
	not, err := d.leave(rs)
	return datapath.Can{Effect: shim.Can, Base: translate.AtHooks, Rows: !d.space.HasEarly(), Not: not}, err
}

// Prepare begins to read the programs.
func (d *Datapath) Prepare() { attach.Prepare() }

// Dir is where the state lies.
func (d *Datapath) Dir() string { return d.space.Dir() }

// MarkFile is where the engine writes down what is enforced.
func (d *Datapath) MarkFile() string { return d.space.MarkFile() }

// Identity tells the namespace from all others.
func (d *Datapath) Identity() string { return d.space.Identity() }

// Pins is the directory that all pins lie under: a rule of netfilter's that uses one is ours.
func (d *Datapath) Pins() string { return d.space.Pins() }

// Claim makes the space ready for changes.
func (d *Datapath) Claim() error { return d.space.Claim() }

// Release ends what Claim began.
func (d *Datapath) Release() error { return d.space.Release() }

// Claimed says whether Claim has been called.
func (d *Datapath) Claimed() bool { return d.space.Claimed() }

// Fresh says whether the maps that are held open are still those of the namespace.
func (d *Datapath) Fresh() bool { return d.space.Fresh() }

// Close releases what is held open.
func (d *Datapath) Close() error { return d.space.Close() }

// Next is the number of the next generation. Where nothing is enforced, it is none that
// netfilter still has something of.
func (d *Datapath) Next() (uint32, error) {
	next, err := d.space.Next()
	if err != nil || next > 1 {
		return next, err
	}
	chains, err := d.netfilter.own.Chains()
	for _, c := range chains {
		if of, ours := shim.Generation(c.Name); ours {
			next = max(next, of+1)
		}
	}
	return next, err
}

// Enforced is the number of the generation that is enforced.
func (d *Datapath) Enforced() (uint32, error) { return d.space.Enforced() }

// Current opens the generation that is enforced.
func (d *Datapath) Current() (datapath.Generation, error) {
	gen, err := d.space.Current()
	if err == nil && gen == nil {
		err = d.space.Strays()
	}
	if lost := new(attach.LostError); errors.As(err, &lost) {
		err = datapath.Lost("%s", lost.What)
	}
	return d.opened(gen, err)
}

// Open opens an installed generation.
func (d *Datapath) Open(number uint32) (datapath.Generation, error) {
	return d.opened(d.space.Generation(number))
}

func (d *Datapath) opened(gen *attach.Generation, err error) (datapath.Generation, error) {
	if err != nil || gen == nil {
		return nil, err
	}
	return &generation{Generation: gen, d: d}, nil
}

// Quiesce waits until no packet is inside a hook that began before.
func (d *Datapath) Quiesce() error {
	if !d.space.Pinned() {
		return nil
	}
	return attach.Quiesce()
}

// Retire removes all generations but the one that is enforced, and what netfilter was given
// for them.
func (d *Datapath) Retire(live *datapath.Live) error {
	keep, conntrack := uint32(0), false
	if live != nil {
		keep, conntrack = live.Number(), live.Conntrack
	}
	r, err := recordOf(live)
	if err != nil {
		return err
	}
	if err := d.netfilter.keep(keep, r.Held, d.space.Pins()); err != nil {
		return err
	}
	failpoint.At("cleaned")
	if keep != 0 { // else it went with our table
		if err := d.netfilter.own.ConntrackOff(wishes(conntrack, r.Tracking)...); err != nil {
			return err
		}
	}
	failpoint.At("conntrack off")
	if keep == 0 {
		return d.retireAll()
	}
	if err := d.space.Retire(keep); err != nil {
		return err
	}
	failpoint.At("retired")
	return d.space.RemoveStrays()
}

func (d *Datapath) retireAll() error {
	if err := d.space.RemoveStrays(); err != nil || !d.space.Pinned() {
		return err
	}
	if err := d.space.RemoveEarly(); err != nil {
		return err
	}
	failpoint.At("early removed")
	if err := d.space.RemoveAll(); err != nil {
		return err
	}
	// The directories are gone, too.
	return errors.Join(d.space.Release(), d.space.Claim())
}

// Sweep takes elements whose time has come out of the named sets.
func (d *Datapath) Sweep() error { return d.space.SweepSets() }
