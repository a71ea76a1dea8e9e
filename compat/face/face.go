// Package face is the command lines of iptables 1.8.9: programs call us by its names, and find
// its options, texts, exit codes and messages.
//
// In: the name by which we are called, and the arguments. Out: what the program of that name
// prints, and its exit code. What the messages of bpftables say beyond those of iptables, where
// and what would do, is printed behind them if VerboseEnv asks.
//
//	f, ok := face.Of("iptables-legacy-save")
//	code := f.Run(caller, args, engines)
package face

import (
	"bytes"
	"strings"

	"github.com/bpftables/bpftables/bpf/plainfile"
	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// VerboseEnv, if it is not empty, asks for our own message behind that of iptables.
const VerboseEnv = "BPFTABLES_VERBOSE"

// DialectEnv names the dialect of the names without one: "legacy" or "nft". Where it is not set,
// DialectFile does.
const DialectEnv = "BPFTABLES_DIALECT"

// DialectFile has the same word: what 'bpftables install-compat' was told. Where it is not there, the
// dialect is legacy's.
const DialectFile = "/etc/bpftables/dialect"

// Version is the release of iptables whose programs these are.
const Version = "1.8.9"

// Dialect is a variant of iptables: the two word some messages in different ways.
type Dialect uint8

// The dialects.
const (
	Legacy Dialect = iota
	NFT
)

// String is the dialect as versions show it.
func (d Dialect) String() string {
	if d == NFT {
		return "nf_tables"
	}
	return "legacy"
}

// Program is which of the programs is called.
type Program uint8

// The programs.
const (
	Command Program = iota // iptables
	Save
	Restore
	XML // iptables-xml
)

// Face is a program as it was called.
type Face struct {
	Name    string // by which it was called
	Program Program
	Family  packet.Family
	Dialect Dialect
	plain   bool // the name says no dialect
}

// Engines runs something with the engine of a family in the network namespace of the thread, for
// a caller.
type Engines func(packet.Family, *caller.Caller, func(*apply.Engine) error) error

// multis are the programs that stand for all others and say the dialect of names that say none.
var multis = []struct {
	name    string
	dialect Dialect
}{
	{"xtables-legacy-multi", Legacy}, {"xtables-nft-multi", NFT},
}

// Called gives the face that a command line calls, by the name of the program or, if that is the one
// that stands for all, by its first argument, and the arguments behind that; false: none.
func Called(argv []string) (f Face, args []string, ok bool) {
	if len(argv) == 0 {
		return f, nil, false
	}
	if f, ok = Of(argv[0]); ok {
		return f, argv[1:], true
	}
	if len(argv) == 1 {
		return f, nil, false
	}
	if f, ok = Of(argv[1]); !ok {
		if f, ok = short(argv[1]); !ok {
			return f, nil, false
		}
	}
	for _, m := range multis {
		if m.name == base(argv[0]) && f.plain {
			f.Dialect, f.plain = m.dialect, false
		}
	}
	return f, argv[2:], true
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Of gives the face that a name stands for; false: none.
func Of(name string) (f Face, ok bool) {
	f = Face{Name: name, Family: packet.IPv4}
	name = base(name)
	if name == "iptables-xml" {
		f.Program = XML
		return f, true
	}
	rest, ok := strings.CutPrefix(name, "ip")
	if !ok {
		return f, false
	}
	if six, is := strings.CutPrefix(rest, "6"); is {
		f.Family, rest = packet.IPv6, six
	}
	if rest, ok = strings.CutPrefix(rest, "tables"); !ok {
		return f, false
	}
	switch {
	case strings.HasPrefix(rest, "-legacy"):
		rest = rest[len("-legacy"):]
	case strings.HasPrefix(rest, "-nft"):
		f.Dialect, rest = NFT, rest[len("-nft"):]
	default:
		f.plain = true
	}
	return f.kind(rest)
}

// short gives the face of "main4", "save6" and so on, which are known behind the name that stands for all.
func short(name string) (f Face, ok bool) {
	f = Face{Name: name, Family: packet.IPv4, plain: true}
	if name == "xml" {
		f.Program = XML
		return f, true
	}
	kind, four := strings.CutSuffix(name, "4")
	if !four {
		if kind, ok = strings.CutSuffix(name, "6"); !ok {
			return f, false
		}
		f.Family = packet.IPv6
	}
	switch kind {
	case "main":
		return f, true
	case "save", "restore":
		return f.kind("-" + kind)
	}
	return f, false
}

// Usage is said where no face is called, by a program of a name.
func Usage(name string) string {
	return "Usage: " + base(name) + " PROGRAM [ARGUMENT ...], with PROGRAM iptables, iptables-save, iptables-restore,\n" +
		"the same of ip6tables, one of these with -legacy or -nft, or iptables-xml; or call it by such a name.\n"
}

// kind takes what stands behind the name of the command.
func (f Face) kind(rest string) (Face, bool) {
	switch rest {
	case "":
	case "-save":
		f.Program = Save
	case "-restore":
		f.Program = Restore
	default:
		return f, false
	}
	return f, true
}

// Run runs the program for a caller and gives its exit code.
func (f Face) Run(c *caller.Caller, args []string, engines Engines) int {
	if f.plain {
		f.Dialect = installed(c.Getenv(DialectEnv))
	}
	p := &process{Face: f, Caller: c, engines: engines}
	if c.Getenv(tool.InsideEnv) != "" {
		return p.fail(tool.ErrInside)
	}
	switch f.Program {
	case Save:
		return p.save(args)
	case Restore:
		return p.restore(args)
	case XML:
		return p.xml(args)
	}
	return p.command(args)
}

// installed is the dialect of the names without one, with the value of DialectEnv.
func installed(word string) Dialect {
	if word == "" {
		text, _ := plainfile.Read(DialectFile) // without it: legacy's
		word = string(text[:min(len(text), len("nft"))])
	}
	if word == "nft" {
		return NFT
	}
	return Legacy
}

// process is one run of a face.
type process struct {
	Face
	*caller.Caller
	engines Engines
	seconds int          // that the lock was waited for
	test    bool         // nothing is to be changed
	told    bytes.Buffer // what -v says
	commits commits      // of the text
}

// base is the name of the command of the family.
func (f Face) base() string {
	if f.Family == packet.IPv6 {
		return "ip6tables"
	}
	return "iptables"
}

// shown is the name that messages begin with: iptables-nft's programs for texts know how they
// were called, the others do not.
func (f Face) shown() string {
	switch {
	case f.Program == Command:
		return f.base()
	case f.Program == XML:
		return "iptables-xml"
	case f.Dialect == NFT:
		return base(f.Name)
	case f.Program == Save:
		return f.base() + "-save"
	}
	return f.base() + "-restore"
}

// version is what --version prints.
func (f Face) version() string { return f.shown() + " v" + Version + " (" + f.Dialect.String() + ")" }
