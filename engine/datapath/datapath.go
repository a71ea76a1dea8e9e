// Package datapath is what the engine asks of those that enforce rules, and nothing of how
// they do it.
//
// In: the plan of one family's rules. Out: a generation, which is enforced from Activate on
// and outlives the process. Refused: what the datapath cannot run of a plan (Refusal), for
// the engine to plan anew without it, or to pass on to the user.
//
// The engine keeps what rules mean and whose they are: their text, their order, their
// counters over all generations, and the steps of a change:
//
//	Load      verify everything; nothing is attached
//	Install   put everything beside what is enforced
//	Activate  switch, in one step
//	Retire    remove what is not enforced any more
//
// A process may be killed between any two steps, and within each of them: what is enforced
// then is one of the generations as a whole, and Retire of the next process removes the rest.
package datapath

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/translate"
)

// Datapath enforces the rules of one family in one network namespace. Whoever changes
// something holds the xtables lock, and calls Claim before.
type Datapath interface {
	// Can says what of some rules it runs.
	Can(*ruleset.Ruleset) (Can, error)
	// Prepare begins what Load needs, for a caller that has something else to do before.
	Prepare()
	// Load loads and verifies a plan as the generation Next. Closed before Install, it is gone.
	Load(*Input) (Generation, error)
	// Check says whether Load and Install would do, and changes nothing. What needs the
	// xtables lock is run by locked, unless that is nil: then it is held.
	Check(in *Input, locked func(func() error) error) error

	// Next is the number that the next generation must have.
	Next() (uint32, error)
	// Enforced is the number of the generation that is enforced; 0: none.
	Enforced() (uint32, error)
	// Current opens the generation that is enforced; nil when nothing of ours is. ErrLost:
	// something is, of which not everything is there any more.
	Current() (Generation, error)
	// Open opens a generation that was installed; nil when there is none of that number.
	Open(number uint32) (Generation, error)
	// Quiesce waits until no packet can meet what was enforced before the call.
	Quiesce() error
	// Retire removes everything but what is enforced; of that, nil for nothing, too.
	Retire(*Live) error

	// Extend makes the generation that is enforced able to run more effects of a table, which no
	// rule asks for yet, and as many as longest one after the other: effects are those behind
	// the ones that it was told of, and bases the table's base chains. It gives the generation's record
	// as it is then. ErrAnew: only a new generation can run them.
	Extend(live *Live, table string, bases []Base, effects Effects, told, longest int) (json.RawMessage, error)
	// AddTable makes the generation that is enforced have a table, whose base chains accept and have no rules: it
	// gives these, and the generation's record as it is then. used says which classes chains of the
	// generation have. ErrAnew: only a new generation can have the table.
	AddTable(live *Live, t *ruleset.Table, used func(class int) bool) ([]Base, json.RawMessage, error)
	// Names says whether a rule that no packet meets names what Hold has to hold.
	Names(in *ruleset.Place) bool
	// Hold has what rules name that no packet meets, and that only others have, stay there as long as the rules do. These are all of
	// them; some that went may have been held before. A *ruleset.Error says that a new one is refused; ErrAnew: only a new
	// generation can.
	Hold(live *Live, rules, went []Unmet) error
	// Track has connections tracked for rules that no packet meets yet.
	Track() error
	// Untrack has them not tracked for rules that no packet meets any more.
	Untrack(*Live) error

	// Lost says what of the generation that is enforced somebody else has removed or
	// changed, in words for people.
	Lost(*Live) ([]string, error)
	// Mend puts it back.
	Mend(*Live) error
	// Drift says whether what was made for the namespace as it was fits it no more.
	Drift(*Live) (Drift, error)
	// Follow makes it fit again, and is called after each switch.
	Follow(*Live) error
	// Set opens a set that a generation has, of either family; nil when none does.
	Set(*ruleset.Set) (Set, error)
	// List opens a list of -m recent that a generation of either family has; nil when none does.
	List(name string) (List, error)
	// Lists are the names of these lists.
	Lists() ([]string, error)
	// Sweep removes what has had its time.
	Sweep() error
	// Status describes what is enforced; of nil, what is left of what was.
	Status(*Live) (*Status, error)

	Space
}

// Space is where a datapath, and the engine's state beside it, lies.
type Space interface {
	// Dir is where the engine keeps its state. It is there after Claim.
	Dir() string
	// MarkFile is where the engine writes down what is enforced.
	MarkFile() string
	// Identity tells the namespace from all others that there have been, and will be: numbers
	// of namespaces come again.
	Identity() string
	// Pins is the directory that everything of the datapath in the file system of BPF lies
	// under.
	Pins() string
	// Claim makes the space ready for changes by one process, until Release.
	Claim() error
	Release() error
	Claimed() bool
	// For says for whom the next changes are: by its environment, tools are found.
	For(env []string)
	// Fresh says whether what is held open is still what is enforced, although other
	// processes work without it.
	Fresh() bool
	// Close releases what is held open; enforcement goes on.
	Close() error
}

// Can is what a datapath runs of some rules.
type Can struct {
	// Effect says whether it runs an effect.
	Effect translate.Can
	// Base says why it cannot run a base chain; "": it can.
	Base func(*ruleset.Base) string
	// Rows says that it has programs of rows alone, so that all chains can be changed in place, and that
	// nothing else is made of the rules that would have to be made anew.
	Rows bool
	// Not are the tables that it does not run, whatever they hold, with the reasons.
	Not map[string]string
}

// Input is what Load gets.
type Input struct {
	Number     uint32
	Rules      *ruleset.Ruleset
	Result     *translate.Result // of the rules
	Classifier translate.Classifier
	Early      string // mode of the early stage; "": that of Before
	Before     *Live  // what is enforced; nil: nothing
	// Named says whether the change names a table: others are as they were.
	Named func(table string) bool
	// Meanwhile is called, if it is there and the datapath has such a time, when everything is
	// laid out and something else than this process, or another processor, verifies it; Load
	// waits for it. row is Row of the generation that is on its way.
	Meanwhile func(row func(slot uint32) uint32)
}

// Unmet is a rule of a chain that no packet meets.
type Unmet struct {
	ruleset.Place
	Table, Chain string
	New          bool // it comes with the change
}

// EarlyOff is the mode in which no rules run before the hooks.
const EarlyOff = "off"

// ErrLost says that of rules that are, or should be, enforced not everything is there any
// more: somebody has removed files or programs.
var ErrLost = errors.New("a restore replaces them, 'bpftables flush --all' removes them")

// ErrNoLookups says that the datapath cannot look rules up here: as code, they may do.
var ErrNoLookups = errors.New("this kernel runs no loops in programs, which looking rules up needs")

// ErrAnew says that a change needs a new generation.
var ErrAnew = errors.New("only a new generation can have the change")

// Refusal says that the datapath cannot run a table, which is found out when it is loaded.
type Refusal struct {
	Table  string
	Reason string
	Err    error
}

// Error is that of what was refused.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap gives what was refused.
func (r *Refusal) Unwrap() error { return r.Err }

// Drift is how far what is enforced is from the namespace as it is now.
type Drift int

// The answers.
const (
	Fits     Drift = iota
	Behind         // Follow is due
	Outdated       // a generation of the same rules is due, made anew
)

// Lost is an ErrLost of rules that are enforced.
func Lost(format string, args ...any) error {
	return fmt.Errorf("rules are enforced whose files were removed: %s; %w", fmt.Sprintf(format, args...), ErrLost)
}

// Removed is an ErrLost of rules that are not enforced, or not by what should.
func Removed(format string, args ...any) error {
	return fmt.Errorf("%w; %w", fmt.Errorf(format, args...), ErrLost)
}
