package datapath

import (
	"encoding/json"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Generation is everything that enforces one applied ruleset.
type Generation interface {
	Number() uint32
	// Record is what the datapath wants to know of the generation later; of one that was
	// loaded. The engine stores it before Install.
	Record() (json.RawMessage, error)
	// Row is the first row of a rule of a classified chain, by counter slot; 0: it has
	// none. Of a generation that was loaded.
	Row(slot uint32) uint32
	// Install puts the generation beside the one that is enforced.
	Install() error
	// GoOn makes limits and nths go on from those of the generation that is enforced.
	GoOn(from Generation, m Memory) error
	// Activate makes it the one that is enforced, in one step.
	Activate() error
	// Version is how often the generation's rules were changed in place.
	Version() (uint32, error)
	// Counters are the live counters: by slot, and those of tables that were left to others.
	Counters(left []Left) (*Counters, error)
	// Classes opens the classified chains, for changes in place; nil: there are none.
	Classes() (Classes, error)
	// Widen makes what runs some base chains, by the numbers of their classes, able to run conditions
	// of new kinds (edit.KindError). ErrAnew: only a new generation can.
	Widen(bases []int, ops uint64) error
	// Close releases what is held open; what was installed is enforced.
	Close() error
}

// Memory says which limits and nths go on, by slot: here, and in the generation before.
type Memory struct{ Limits, Nths map[int]int }

// Live is the generation that is enforced, as the engine knows it.
type Live struct {
	Generation
	Record    json.RawMessage
	Conntrack bool // rules need the kernel's conntrack
	Changed   bool // rules were changed in place
	// Effects gives those of a table that the datapath was told of, by their numbers.
	Effects func(table string) Effects
	// Table reads the rules of a table.
	Table func(name string) (*ruleset.Table, error)
}

// Base is a base chain of what is enforced, with the number of its class, and the counter slot of its
// policy.
type Base struct {
	*ruleset.Base
	Class int
	Slot  uint32
}

// Effects are those of a table, by their numbers.
type Effects interface {
	Len() int
	At(number int) (pred.Effect, error)
}

// Left is a table that the datapath has left to others, with its chains in order.
type Left struct {
	Table  string
	Chains []string
}

// Counters are what a generation has counted.
type Counters struct {
	Slots []Counter
	Left  map[string][]ChainCounters // by table, in the order of the chains asked for
}

// Counter is what one slot has counted.
type Counter = abi.Counter

// ChainCounters are those of one chain.
type ChainCounters struct {
	Policy ruleset.Counters
	Rules  []ruleset.Counters
}

// Classes are the classified chains of a generation, which are changed in place.
type Classes interface {
	// Rows is the memory that packets look rules up in.
	Rows() *edit.Chains
	// Counter reads the counter of one slot.
	Counter(slot uint32) (Counter, error)
	// Restart makes limits and nths begin anew, by their slots; nths have what they begin with.
	Restart(limits []int, nths map[int]uint32) error
	// Room is how many slots there are for limits, for nths or for questions to lists of -m recent, and Begin
	// makes a slot that of one, which no row that packets see asks for yet.
	Room(of pred.Pred) (int, error)
	Begin(slot int, of pred.Pred) error
	// Keep makes the list that a rule asks fit for it; known says that rules of the generation have named it
	// already. Forget ends it here, when no rule names it any more.
	Keep(by pred.Recent, known bool) error
	Forget(list string, meter bool) error
	Close() error
}
