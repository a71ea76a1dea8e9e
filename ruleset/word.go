package ruleset

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Families says for which families a word exists.
type Families uint8

// The sets of families.
const (
	OnlyIPv4 Families = 1 << iota
	OnlyIPv6
	Both = OnlyIPv4 | OnlyIPv6
)

// Has says whether the family is in the set.
func (f Families) Has(family packet.Family) bool {
	if family == packet.IPv6 {
		return f&OnlyIPv6 != 0
	}
	return f&OnlyIPv4 != 0
}

// Option is one long option of a word, as its getopt table has it.
type Option struct {
	Name     string
	NArgs    int  // 0, 1 or 2; OptionalArg: the argument may be missing
	Negate   bool // "! --name" is allowed
	Help     string
	Families Families // 0: those of the word
}

// OptionalArg as Option.NArgs: the next argument belongs to the option unless it
// starts with '-' or '!'.
const OptionalArg = -1

// Env is what reading a word may ask of its surroundings.
type Env struct {
	Family  packet.Family
	Bases   []*Base // of the table, see Table.Bases
	Proto   uint8   // of -p; 0: none or all
	Resolve Resolver
	Warn    func(text string) // takes what iptables warns of; nil: nobody listens
}

// Warning is for what a word takes, but iptables warns of.
func (e *Env) Warning(format string, args ...any) {
	if e.Warn != nil {
		e.Warn(fmt.Sprintf(format, args...))
	}
}

// Resolver looks names up; a nil one knows numbers only. Test resolvers are maps.
type Resolver interface {
	// Port finds a service by name, in host order.
	Port(service, proto string) (uint16, bool)
	// Protocol finds a protocol number by name, PrintProtocol its name.
	Protocol(name string) (uint8, bool)
	ProtocolName(number uint8) (string, bool)
	// User and Group find numeric ids.
	User(name string) (uint32, bool)
	Group(name string) (uint32, bool)
	// Host gives the addresses of a host name, of the family, as text.
	Host(name string, family packet.Family) ([]string, error)
	// Named reads a name from a file of names under the iproute2 directories
	// (rt_realms, group, rt_dsfield): the number of the name.
	Named(file, name string) (uint32, bool)
}

// Builder takes the options of one word as they are read.
type Builder interface {
	// Set takes one option; args has the number of arguments that Option.NArgs says.
	// An error is a sentence without position: "16 ports given, at most 15 allowed".
	Set(env *Env, option string, negate bool, args []string) error
	// Done is called after the last option of the rule: required options, conflicts.
	Done(env *Env) error
}

// Worded is an error of a Builder for which iptables has words of its own, that programs which
// call it may look for.
type Worded struct {
	Err  error
	Tool string // what iptables says
	Of   bool   // behind "WORD: "
}

// OutOfRange is what iptables says of a Check that fails as the kernel's does with ERANGE; of others
// it says what it says of EINVAL.
const OutOfRange = "Numerical result out of range"

// OptionName stands in words of iptables for the option that was given.
const OptionName = "{option}"

// InWords is an error for which iptables has words of its own; nil for none.
func InWords(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Worded{Err: err, Tool: fmt.Sprintf(format, args...)}
}

// InWordsOf is one whose words stand behind the name of the match or target.
func InWordsOf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Worded{Err: err, Tool: fmt.Sprintf(format, args...), Of: true}
}

// Error is our own text.
func (w *Worded) Error() string { return w.Err.Error() }

// Unwrap gives our own error.
func (w *Worded) Unwrap() error { return w.Err }

// MatchBuilder builds a Match: usually the match itself.
type MatchBuilder interface {
	Builder
	Match() Match
}

// TargetBuilder builds a Target: usually the target itself.
type TargetBuilder interface {
	Builder
	Target() Target
}

// MatchKind is a word after -m.
type MatchKind struct {
	Name     string
	Aliases  []string // other names under which -m finds it
	Protos   []uint8  // -p with one of these loads it without -m when one of its options is met
	Families Families
	Doc      string // one sentence for help and the README table
	Options  []Option
	New      func() MatchBuilder
}

// TargetKind is a word after -j.
type TargetKind struct {
	Name     string
	Families Families
	Doc      string
	Options  []Option
	New      func() TargetBuilder
}
