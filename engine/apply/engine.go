// Package apply makes a ruleset the one that is enforced in this network
// namespace, as a whole or not at all.
//
// In: changes of the rules and sets of any owners. Out: a new generation of a datapath
// (package datapath), and the state from which save and list print. Refused: rulesets
// that netfilter would refuse, and with Strict those that BPF cannot run. The steps,
// each of which may be the last one of a killed process:
//
//	load     translate, generate, load and verify: nothing is attached
//	state    write down the rules, and what is to be done to sets
//	install  put everything beside what is enforced
//	switch   one write: every hook, and every rule that others run for it
//	sets     change elements of sets that are there
//	carry    add the last counters of the old generation to the rules that stayed
//	retire   remove the old generation, and its state
//
// What a killed process leaves is removed by the next one, which first completes
// the carry of a generation that is live.
package apply

import (
	"errors"
	"io"

	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Engine works on one family of the current network namespace. Commands that change
// something hold the xtables lock while they use it.
type Engine struct {
	family   packet.Family
	open     OpenDatapath
	data     datapath.Datapath
	caller   *caller.Caller
	keeps    bool
	kept     *Live     // of an engine that keeps it
	dialects []Dialect // of owners other than iptables
	gone     error     // what is enforced has no files any more; see settle
}

// OpenDatapath opens the datapath of a family in the current network namespace.
type OpenDatapath func(packet.Family) (datapath.Datapath, error)

// Live is the generation that is enforced.
type Live struct {
	State   *state.Store
	gen     datapath.Generation
	classes datapath.Classes // nil: there are none, or they are not open
	extra   *extra           // nil: not read
	kept    bool             // by the engine, for the next command
	closed  bool
}

// Close releases what is held open; enforcement goes on.
func (l *Live) Close() error {
	if l == nil || l.kept || l.closed {
		return nil
	}
	l.closed = true
	errs := []error{l.State.Close(), l.gen.Close()}
	if l.classes != nil {
		errs = append(errs, l.classes.Close())
	}
	return errors.Join(errs...)
}

// open opens the classified chains; nil when the generation has none.
func (l *Live) open() (classes datapath.Classes, err error) {
	if l.classes == nil {
		l.classes, err = l.gen.Classes()
	}
	return l.classes, err
}

// enforced is the generation as the datapath wants to know it.
func (e *Engine) enforced(l *Live) (*datapath.Live, error) {
	if l == nil {
		return nil, nil
	}
	x, err := l.readExtra()
	if err != nil {
		return nil, err
	}
	return &datapath.Live{
		Generation: l.gen, Record: x.Datapath, Conntrack: l.State.Conntrack, Changed: l.State.Version != state.First,
		Effects: func(table string) datapath.Effects { return x.Actions[table] },
		Table: func(name string) (*ruleset.Table, error) {
			rs, err := e.rules(l.State, name, nil)
			if err != nil {
				return nil, err
			}
			return rs.Table(name), nil
		},
	}, nil
}

// version is the version that packets see.
func (l *Live) version() (uint32, error) {
	if l.classes != nil {
		return state.First + l.classes.Rows().Version() - layout.FirstVersion, nil
	}
	version, err := l.gen.Version()
	return state.First + version, err
}

// Keep makes the engine keep the live generation open between commands. Of those that
// use it, one may run at a time.
func (e *Engine) Keep() { e.keeps = true }

// drop closes what is kept.
func (e *Engine) drop() error {
	l := e.kept
	if l == nil {
		return nil
	}
	e.kept, l.kept = nil, false
	return l.Close()
}

// stillLive says whether what is kept is what is enforced. A state without the counters
// of the generation before is read again: someone else may have carried them over.
func (e *Engine) stillLive() bool {
	return e.kept != nil && e.kept.State.Carried && e.sees(e.kept)
}

// Open gives the engine of the current network namespace, over a datapath.
func Open(family packet.Family, open OpenDatapath) (*Engine, error) {
	data, err := open(family)
	if err != nil {
		return nil, err
	}
	e := &Engine{family: family, open: open, data: data}
	e.For(caller.Self(nil, io.Discard, io.Discard))
	return e, nil
}

// For makes the engine work for a caller: with its names and its netfilter tools.
func (e *Engine) For(c *caller.Caller) {
	e.caller = c
	e.data.For(c.Env)
}

// Family is the family that the engine works on.
func (e *Engine) Family() packet.Family { return e.family }

// Fresh says whether what the engine holds is still what is enforced, so that it may
// be used for another command, although other processes work without it.
func (e *Engine) Fresh() bool { return e.data.Fresh() }

// Close releases what the engine holds open; enforcement goes on.
func (e *Engine) Close() error { return errors.Join(e.drop(), e.data.Close()) }

// Live gives the enforced generation; nil when nothing of ours is. A reader without
// the lock may meet a switch: it then looks again.
func (e *Engine) Live() (live *Live, err error) {
	for range 5 {
		if live, err = e.look(); err == nil {
			return live, nil
		}
	}
	if errors.Is(err, state.ErrUnreadable) || errors.Is(err, state.ErrStale) {
		err = datapath.Removed("rules are enforced that are not known: %w", err)
	}
	return nil, err
}

func (e *Engine) look() (*Live, error) {
	if e.stillLive() {
		return e.kept, nil
	}
	if err := e.drop(); err != nil {
		return nil, err
	}
	gen, err := e.data.Current()
	if err != nil {
		return nil, err
	}
	if gen == nil {
		return nil, e.vanished()
	}
	version, err := gen.Version()
	if err != nil {
		return nil, errors.Join(err, gen.Close())
	}
	st, err := state.Open(e.data.Dir(), gen.Number(), state.First+version)
	if err == nil && st == nil {
		err = e.stateMissing(gen.Number())
	}
	if err != nil {
		return nil, errors.Join(err, gen.Close())
	}
	// A state that is not carried over is about to be written anew.
	l := &Live{State: st, gen: gen, kept: e.keeps && st.Carried}
	if l.kept {
		e.kept = l
	}
	return l, nil
}

// rules reads the rules of a state, of one table or "" for all, with their counters and
// what live adds.
func (e *Engine) rules(st *state.Store, table string, live state.Live) (*ruleset.Ruleset, error) {
	return st.Ruleset(table, live, iptables.Options{File: state.File, Resolver: e.caller.Resolver()})
}

// Current gives the enforced ruleset with live counters; nil when there is none.
func (e *Engine) Current() (rs *ruleset.Ruleset, err error) {
	err = e.counted(func(st *state.Store, counts state.Live) error {
		rs, err = e.rules(st, "", counts)
		return err
	})
	return rs, err
}

// Save writes the enforced ruleset with live counters as iptables-save does. The
// rules need not be read for that.
func (e *Engine) Save(w io.Writer, o iptables.PrintOptions) error {
	saved := false
	err := e.counted(func(st *state.Store, counts state.Live) error {
		saved = true
		return st.WriteText(w, state.TextOptions{PrintOptions: o, Live: counts})
	})
	if err != nil || saved {
		return err
	}
	return iptables.Print(w, &ruleset.Ruleset{Family: e.family}, o)
}

// errRetired is that of a previous generation that is gone.
var errRetired = errors.New("the generation before was removed, its counters are not known; the next change of the rules goes on without them")

// counted gives the live state and what was counted on top of it; nothing is given
// where nothing is enforced. A reader without the lock may meet another process that
// carries counters over and removes where they were: it then looks again.
func (e *Engine) counted(use func(*state.Store, state.Live) error) (err error) {
	for range 5 {
		if err = e.countedOnce(use); !errors.Is(err, errRetired) {
			return err
		}
	}
	return err
}

func (e *Engine) countedOnce(use func(*state.Store, state.Live) error) error {
	live, err := e.Live()
	if err != nil || live == nil {
		return err
	}
	defer live.Close()
	m, err := newMeters(live.State, live.gen)
	if err != nil {
		return err
	}
	if live.State.Carried {
		return use(live.State, m.count)
	}
	return e.carry(live, func(before state.Live) error {
		return use(live.State, func(c state.Cell) ruleset.Counters {
			n, old := m.count(c), before(c)
			return ruleset.Counters{Packets: n.Packets + old.Packets, Bytes: n.Bytes + old.Bytes}
		})
	})
}

// carry gives what the previous generation counted for the rules of live that
// stayed; errRetired: it is gone.
func (e *Engine) carry(live *Live, use func(state.Live) error) error {
	old, err := state.Open(e.data.Dir(), live.State.Previous, live.State.PreviousVersion)
	if err == nil && old == nil {
		err = errRetired
	}
	if err != nil {
		return err
	}
	defer old.Close()
	gen, err := e.data.Open(old.Generation)
	if err == nil && gen == nil {
		err = errRetired
	}
	if err != nil {
		return err
	}
	defer gen.Close()
	m, err := newMeters(old, gen)
	if err != nil {
		return err
	}
	return use(m.carried(old))
}
