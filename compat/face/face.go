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

	"golang.org/x/sys/unix"

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
)

// Face is a program as it was called.
type Face struct {
	Name    string // by which it was called, without its directory
	Program Program
	Family  packet.Family
	Dialect Dialect
	plain   bool // the name says no dialect
}

// Engines runs something with the engine of a family in the network namespace of the thread, for
// a caller.
type Engines func(packet.Family, *caller.Caller, func(*apply.Engine) error) error

// Of gives the face that a name stands for; false: none.
func Of(name string) (f Face, ok bool) {
	name = name[strings.LastIndexByte(name, '/')+1:]
	f = Face{Name: name, Family: packet.IPv4}
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
	}
	return p.command(args)
}

// installed is the dialect of the names without one, with the value of DialectEnv. It is asked for by
// every command, so the file is read without the detours of package os.
func installed(word string) Dialect {
	if word == "" {
		var text [len("nft")]byte
		if fd, err := unix.Open(DialectFile, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			n, _ := unix.Read(fd, text[:])
			_ = unix.Close(fd)
			word = string(text[:max(n, 0)])
		}
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
	case f.Dialect == NFT:
		return f.Name
	case f.Program == Save:
		return f.base() + "-save"
	}
	return f.base() + "-restore"
}

// version is what --version prints.
func (f Face) version() string { return f.shown() + " v" + Version + " (" + f.Dialect.String() + ")" }
