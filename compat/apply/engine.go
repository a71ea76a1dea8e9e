// Package apply makes a ruleset the one that is enforced in this network
// namespace, as a whole or not at all.
//
// In: a ruleset of one family. Out: a new generation: BPF programs for the tables
// that run there, shim rules and whole tables in netfilter for the rest, and the
// state from which save and list print. Refused: rulesets that netfilter would
// refuse, and with Strict those that BPF cannot run. The steps, each of which may be
// the last one of a killed process:
//
//	build    translate, generate, load and verify: nothing is attached
//	install  pin maps and programs, link the constant entry programs
//	shims    rules for netfilter, guarded by the generation's number
//	switch   one 4-byte map write: every hook, and every guarded rule
//	carry    add the last counters of the old generation to the rules that stayed
//	retire   remove the old generation's rules, programs, pins and state
//
// What a killed process leaves is removed by the next one, which first completes
// the carry of a generation that is live.
package apply

import (
	"fmt"
	"os"
	"strings"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/compat/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Engine works on one family of the current network namespace. Commands that change
// something hold the xtables lock while they use it.
type Engine struct {
	family packet.Family
	space  *attach.Space
	tools  tools
}

// Live is the generation that is enforced.
type Live struct {
	State   *state.State
	Ruleset *ruleset.Ruleset // with the counters that the rules had at its start
	gen     *attach.Generation
}

// Open gives the engine of the current network namespace.
func Open(family packet.Family) (*Engine, error) {
	space, err := attach.Open(family)
	if err != nil {
		return nil, err
	}
	return &Engine{family: family, space: space, tools: tools{family: family, lock: space.Dir() + "/netfilter.lock"}}, nil
}

// Close releases what the engine holds open; enforcement goes on.
func (e *Engine) Close() error { return e.space.Close() }

// Live gives the enforced generation; nil when nothing of ours is. A reader without
// the lock may meet a switch: it then looks again.
func (e *Engine) Live() (live *Live, err error) {
	for range 5 {
		if live, err = e.look(); err == nil {
			return live, nil
		}
	}
	return nil, err
}

func (e *Engine) look() (*Live, error) {
	gen, err := e.space.Current()
	if err != nil || gen == nil {
		return nil, err
	}
	st, err := state.Read(e.space.Dir(), gen.Number())
	if err != nil {
		return nil, err
	}
	if st == nil {
		return nil, fmt.Errorf("%s: the state of generation %d is missing; remove what is left with 'bpftables flush --all'", e.space.Dir(), gen.Number())
	}
	rs, err := e.readState(st)
	if err != nil {
		return nil, fmt.Errorf("state of generation %d: %w", st.Generation, err)
	}
	return &Live{State: st, Ruleset: rs, gen: gen}, nil
}

// readState reads the rules of a state, with their counters.
func (e *Engine) readState(st *state.State) (*ruleset.Ruleset, error) {
	rs, _, err := iptables.Read(strings.NewReader(st.Text), iptables.Options{
		File: "state", Family: e.family, Resolver: iptables.NewResolver(), Counters: true,
	})
	return rs, err
}

// Current gives the enforced ruleset with live counters; nil when there is none.
func (e *Engine) Current() (*Live, error) {
	live, err := e.Live()
	if err != nil || live == nil {
		return nil, err
	}
	defer live.gen.Close()
	r, err := e.readings(live.State, live.Ruleset, live.gen)
	if err != nil {
		return nil, err
	}
	r.addTo(live.Ruleset)
	if !live.State.Carried {
		return live, e.carry(live)
	}
	return live, nil
}

// readings are the live counters of a generation.
func (e *Engine) readings(st *state.State, rs *ruleset.Ruleset, gen *attach.Generation) (readings, error) {
	slots, err := gen.Counters()
	if err != nil {
		return nil, err
	}
	return read(st, rs, slots, e.space.Pins(), e.tools.saveWhole)
}

// carry adds to live's ruleset what the previous generation counted for the rules
// that stayed. The previous generation must no longer run.
func (e *Engine) carry(live *Live) error {
	old, err := state.Read(e.space.Dir(), live.State.Previous)
	if err != nil || old == nil {
		return err
	}
	gen, err := e.space.Generation(old.Generation)
	if err != nil || gen == nil {
		return err
	}
	defer gen.Close()
	rs, err := e.readState(old)
	if err != nil {
		return fmt.Errorf("state of generation %d: %w", old.Generation, err)
	}
	r, err := e.readings(old, rs, gen)
	if err != nil {
		return err
	}
	r.carryTo(live.State, live.Ruleset)
	return nil
}

// settle completes the switch to the live generation, removes all others, and gives
// the live one, closed; nil when there is none.
func (e *Engine) settle() (*Live, error) {
	live, err := e.Live()
	if err != nil {
		return nil, err
	}
	keep, carried := uint32(0), true
	if live != nil {
		defer live.gen.Close()
		keep, carried = live.State.Generation, live.State.Carried
	}
	others, err := state.Others(e.space.Dir(), keep)
	if err != nil || len(others) == 0 && carried {
		return live, err
	}
	if err := attach.Quiesce(); err != nil {
		return nil, err
	}
	if !carried {
		if err := e.completeCarry(live); err != nil {
			return nil, err
		}
	}
	failPoint("carried")
	if err := e.removeRest(keep); err != nil {
		return nil, err
	}
	if live == nil {
		return nil, os.MkdirAll(e.space.Dir(), 0o700)
	}
	if live.State.Conntrack {
		return live, nil
	}
	return live, e.space.ConntrackOff()
}

// completeCarry stores the counters that the live generation's rules brought along.
func (e *Engine) completeCarry(live *Live) error {
	if err := e.carry(live); err != nil {
		return err
	}
	live.State.Text = text(live.Ruleset)
	live.State.Carried = true
	return state.Write(e.space.Dir(), live.State)
}

// removeRest removes everything of ours that does not belong to a generation.
func (e *Engine) removeRest(keep uint32) error {
	if err := e.tools.edit(shim.Tables(), func(table, saved string) string {
		return shim.Removal(table, saved, e.space.Pins(), keep)
	}); err != nil {
		return err
	}
	failPoint("cleaned")
	if err := e.space.Retire(keep); err != nil {
		return err
	}
	failPoint("retired")
	return state.Remove(e.space.Dir(), keep)
}

// text is the save text of a ruleset with counters.
func text(rs *ruleset.Ruleset) string {
	var b strings.Builder
	// A Builder never fails.
	_ = iptables.Print(&b, reversed(rs), iptables.PrintOptions{Counters: true})
	return b.String()
}

// reversed gives the tables in the other order: save prints the newest first, and
// state must read them back oldest first.
func reversed(rs *ruleset.Ruleset) *ruleset.Ruleset {
	out := &ruleset.Ruleset{Family: rs.Family}
	for i := len(rs.Tables) - 1; i >= 0; i-- {
		out.Tables = append(out.Tables, rs.Tables[i])
	}
	return out
}
