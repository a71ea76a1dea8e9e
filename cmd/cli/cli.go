// Package cli is the command line of bpftables.
//
// In: arguments and streams. Out: what commands print, and the exit code: 0 done,
// 1 refused or failed with nothing changed, 2 usage, 4 lock not obtained.
package cli

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/compat/face"
	"github.com/bpftables/bpftables/compat/lock"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/datapaths"
	"github.com/bpftables/bpftables/engine/serve/client"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Exit codes, those of iptables.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitLocked = 4
)

// Version is set by the release build.
var Version = "0.1.0"

// commands is the command line; kong reads it.
type commands struct {
	Iptables      ruleCmd          `cmd:"" help:"One command of iptables: change or list single rules."`
	Ip6tables     ruleCmd          `cmd:"" name:"ip6tables" help:"The same for IPv6."`
	Restore       restoreCmd       `cmd:"" help:"Read iptables-save text and enforce it."`
	Save          saveCmd          `cmd:"" help:"Print the rules as iptables-save does."`
	List          listCmd          `cmd:"" help:"List the rules as iptables -L does."`
	Takeover      takeoverCmd      `cmd:"" help:"Take the rules of iptables-legacy and iptables-nft over."`
	GiveBack      giveBackCmd      `cmd:"" name:"give-back" help:"Give all rules to netfilter's tools, and leave."`
	InstallCompat installCompatCmd `cmd:"" name:"install-compat" help:"Let the names of iptables' programs be those of bpftables."`
	RemoveCompat  removeCompatCmd  `cmd:"" name:"remove-compat" help:"Give these names, and all rules, back."`
	Persist       persistCmd       `cmd:"" help:"Store the rules in the files that are loaded when the host starts, or load these."`
	Flush         flushCmd         `cmd:"" help:"Empty tables, or remove everything of ours."`
	Check         checkCmd         `cmd:"" help:"Parse, plan and verify a file in the kernel without attaching it."`
	Translate     translateCmd     `cmd:"" help:"Show where each rule of a file runs, and why."`
	Explain       explainCmd       `cmd:"" help:"Walk the rules for one packet."`
	Verify        verifyCmd        `cmd:"" help:"Let netfilter and BPF judge the same packets and print every difference."`
	Recent        recentCmd        `cmd:"" help:"Print and change the lists of -m recent, as /proc/net/xt_recent does."`
	Status        statusCmd        `cmd:"" help:"Show what runs where, and what the kernel offers."`
	Serve         serveCmd         `cmd:"" help:"Stay in memory and run the commands of others faster."`
	Lookup        lookupCmd        `cmd:"" help:"Answer questions about hosts." hidden:""`
	Migrate       migrateCmd       `cmd:"" help:"Make rules of another version anew." hidden:""`
	Completion    completionCmd    `cmd:"" help:"Print what a shell completes command lines with." hidden:""`
	Man           manCmd           `cmd:"" help:"Print the manual page." hidden:""`
	Version       versionCmd       `cmd:"" help:"Print the version."`
}

// streams are what a command reads and writes, and where its engines come from.
type streams struct {
	in       io.Reader
	out, err io.Writer
	caller   *caller.Caller
	engine   Engines
	memory   *memory // of the process, if it runs this command alone
}

// Engines runs something with the engine of a family in the network namespace of the
// thread, for a caller.
type Engines func(packet.Family, *caller.Caller, func(*apply.Engine) error) error

// Run executes one command line of this process and gives the exit code.
func Run(args []string, in io.Reader, out, errOut io.Writer) int {
	return runFor(caller.Self(in, out, errOut), args, datapaths.Use, collectLate())
}

// RunFor executes one command line for a caller and gives the exit code.
func RunFor(c *caller.Caller, args []string, engines Engines) int {
	return runFor(c, args, engines, nil)
}

func runFor(c *caller.Caller, args []string, engines Engines, m *memory) int {
	code := (&streams{in: c.In, out: c.Out, err: c.Err, caller: c, engine: engines, memory: m}).run(args)
	if lost := c.Lost(); code == exitOK && lost != nil && !isFace(args) { // the programs of iptables do not look
		fmt.Fprintln(c.Err, "bpftables: what the command did is done, but its output is lost:", lost)
		return exitFailed
	}
	return code
}

// isFace says whether a command line is that of a program of iptables.
func isFace(args []string) bool {
	return len(args) > 0 && strings.HasPrefix(args[0], client.FacePrefix)
}

// face runs a program of iptables for a caller that called it by a command line.
func (s *streams) face(argv []string) int {
	f, args, ok := face.Called(argv)
	if !ok {
		fmt.Fprint(s.err, face.Usage(argv[0]))
		return exitFailed
	}
	return f.Run(s.caller, args, face.Engines(s.engine))
}

// run executes one command line and gives the exit code.
func (s *streams) run(args []string) int {
	if s.caller.Getenv(tool.InsideEnv) != "" {
		fmt.Fprintln(s.err, "bpftables:", tool.ErrInside)
		return exitFailed
	}
	if len(args) > 0 {
		if name, ok := strings.CutPrefix(args[0], client.FacePrefix); ok {
			return s.face(append([]string{name}, args[1:]...))
		}
		if family, ok := ruleFamily(args[0]); ok {
			return s.ruleCommand(family, args)
		}
	}
	exited := -1
	parser, err := kong.New(grammar(args), append(kongOptions(),
		kong.Writers(s.out, s.err),
		kong.Exit(func(code int) {
			if exited < 0 {
				exited = code
			}
		}),
		kong.Bind(s),
	)...)
	if err != nil {
		panic(err) // the command definitions are broken
	}
	ctx, err := parser.Parse(waitArgument(args))
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintf(s.err, "bpftables: %v; see bpftables --help\n", err)
		return exitUsage
	}
	return exitCode(ctx.Run(s), s.err)
}

// grammar is what is needed of commands to read a command line: to build the rest takes longer
// than a small command.
func grammar(args []string) any {
	all := reflect.TypeFor[commands]()
	for i := range all.NumField() {
		f := all.Field(i)
		name := f.Tag.Get("name")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		if len(args) > 0 && args[0] == name {
			return reflect.New(reflect.StructOf([]reflect.StructField{f})).Interface()
		}
	}
	return new(commands)
}

func kongOptions() []kong.Option {
	return []kong.Option{
		kong.Name("bpftables"),
		kong.Description("An iptables-compatible firewall that runs in BPF."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	}
}

func exitCode(err error, out io.Writer) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, beside.ErrReported):
		return exitFailed
	case errors.Is(err, lock.ErrBusy):
		fmt.Fprintln(out, "bpftables:", err)
		return exitLocked
	}
	fmt.Fprintln(out, err)
	return exitFailed
}

// waitArgument lets -w stand without a number, as iptables does: "-w" followed by
// something that is no number becomes "-w -1".
func waitArgument(args []string) []string {
	var out []string
	for i, a := range args {
		switch {
		case a == "-w" || a == "--wait":
			out = append(out, a)
			if i+1 >= len(args) || !number(args[i+1]) {
				out[len(out)-1] = "--wait=-1"
			}
		case strings.HasPrefix(a, "-w") && number(a[2:]):
			out = append(out, "--wait="+a[2:])
		default:
			out = append(out, a)
		}
	}
	return out
}

func number(s string) bool {
	if s == "" {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// familyFlag is -6.
type familyFlag struct {
	IPv6 bool `name:"ipv6" short:"6" help:"IPv6 rules, as ip6tables."`
}

func (f familyFlag) family() packet.Family {
	if f.IPv6 {
		return packet.IPv6
	}
	return packet.IPv4
}

// waitFlag is -w [SECONDS].
type waitFlag struct {
	Wait int `short:"w" default:"0" placeholder:"[SECONDS]" help:"Wait for the xtables lock for so many seconds at most; as long as it takes by default."`
}

func (w waitFlag) duration() time.Duration {
	return lock.Seconds(w.Wait)
}

// open gives the input that a FILE argument names; "" and "-" are standard input.
func (s *streams) open(file string) (r io.ReadCloser, name string, err error) {
	if file == "" || file == "-" {
		return io.NopCloser(s.in), "stdin", nil
	}
	f, err := s.caller.Open(file)
	return f, file, err
}

// versionCmd is "bpftables version".
type versionCmd struct{}

// Help is the long help.
func (versionCmd) Help() string {
	return `Example:
  bpftables version`
}

// Run prints the version.
func (versionCmd) Run(s *streams) error {
	fmt.Fprintln(s.out, "bpftables v"+Version)
	return nil
}
