package face

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/compat/lock"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
)

// The exit codes (enum xtables_exittype, include/xtables.h).
const (
	exitOK       = 0
	exitOther    = 1
	exitUsage    = 2
	exitVersion  = 3
	exitResource = 4
)

// upgrade ends messages of exit code 3.
func (f Face) upgrade() string {
	return "Perhaps " + f.base() + " or your kernel needs to be upgraded."
}

// fail words an error as the program would, and gives the exit code.
func (p *process) fail(err error) int {
	if err == nil {
		return exitOK
	}
	code := p.say(err)
	if p.Getenv(VerboseEnv) != "" && !errors.Is(err, beside.ErrReported) {
		fmt.Fprintf(p.Err, "bpftables: %v\n", err)
	}
	return code
}

// acquire takes the lock, waiting for it for some seconds at most; 0: as long as it takes. iptables-nft has no
// lock, and its transactions wait.
func (p *process) acquire(seconds int) (*lock.Lock, error) {
	if p.Dialect == NFT {
		seconds = 0
	}
	p.seconds = seconds
	return lock.Acquire(lock.Seconds(seconds), p.Caller)
}

func (p *process) say(err error) int {
	var pos ruleset.Pos
	said, first := iptables.FirstSaid(err)
	if first != nil {
		pos = first.Pos
	}
	switch {
	case errors.Is(err, beside.ErrReported):
		return exitOther
	case errors.Is(err, lock.ErrBusy):
		fmt.Fprintf(p.Err, "Can't lock %s: Resource temporarily unavailable\nAnother app is currently holding the xtables lock. Stopped waiting after %ds.\n",
			lock.File(p.Getenv(lock.FileEnv)), p.seconds)
		return exitResource
	case said != nil:
		return p.said(said, pos)
	case errors.Is(err, iptables.ErrUsage):
		if first != nil {
			err = first // iptables knows the first fault alone
		}
		return p.usage(err.Error(), pos.Line)
	case denied(err):
		return p.denied()
	}
	fmt.Fprintf(p.Err, "%s: %v\n", p.shown(), err)
	return exitOther
}

// said prints what iptables says of a fault at a position.
func (p *process) said(s *iptables.Said, pos ruleset.Pos) int {
	line := pos.Line
	if p.Dialect == NFT && s.NFT != nil {
		s = s.NFT
	}
	switch {
	case s.Line == iptables.AtCommit:
		line = p.commits.behind(line)
	case s.Line != 0:
		line = s.Line
	}
	text := strings.ReplaceAll(s.Text, iptables.Program, p.shown())
	switch s.How {
	case iptables.SaidOfUsage:
		return p.usage(text, line)
	case iptables.SaidPlainly:
		if s.Text != "" {
			fmt.Fprintln(p.Err, s.Text)
		}
		return p.tryHelp(line)
	case iptables.SaidOtherwise:
		fmt.Fprintf(p.Err, "%s: %s\n", p.version(), s.Text)
		return exitOther
	case iptables.SaidOfTable:
		return p.noTable(s, line)
	case iptables.SaidByKernel:
		if p.test {
			return exitOK // iptables-nft-restore --test asks the kernel nothing
		}
		at := " "
		if p.Program == Restore {
			at = fmt.Sprintf("\nline %d: ", line)
		}
		fmt.Fprintf(p.Err, "%s: %s%s\n", p.version(), at, s.Text)
		return exitResource
	case iptables.SaidOfText:
		fmt.Fprintf(p.Err, "%s: %s\n", p.shown(), s.Text)
		return exitOther
	}
	switch {
	case p.Program != Restore:
		fmt.Fprintf(p.Err, "%s: %s.\n", p.base(), s.Text)
	case p.Dialect == NFT && s.Text != "":
		fmt.Fprintf(p.Err, "%s: line %d failed: %s.\n", p.shown(), line, s.Text)
	default:
		fmt.Fprintf(p.Err, "%s: line %d failed\n", p.shown(), line)
	}
	return exitOther
}

// usage prints a message of xtables_error() about what was given.
func (p *process) usage(text string, line int) int {
	fmt.Fprintf(p.Err, "%s: %s\n", p.version(), text)
	return p.tryHelp(line)
}

// tryHelp is xtables_exit_tryhelp() (libxtables/xtables.c).
func (p *process) tryHelp(line int) int {
	if p.Program == Restore || p.Program == XML {
		fmt.Fprintf(p.Err, "Error occurred at line: %d\n", line)
	}
	fmt.Fprintf(p.Err, "Try `%s -h' or '%s --help' for more information.\n", p.shown(), p.shown())
	return exitUsage
}

// noTable says that there is no table of a name.
func (p *process) noTable(s *iptables.Said, line int) int {
	if p.Program == Restore {
		return p.usage(strings.ReplaceAll(s.Restore, iptables.Program, p.shown()), line)
	}
	fmt.Fprintf(p.Err, "%s: %s\n%s\n", p.version(), s.Text, p.upgrade())
	return exitVersion
}

// denied says whether an error is about missing rights.
func denied(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EPERM)
}

// denied prints what the program says to those who may not use it.
func (p *process) denied() int {
	if p.Dialect == NFT {
		fmt.Fprintf(p.Err, "%s: Could not fetch rule set generation id: Permission denied (you must be root)\n\n", p.version())
		return exitResource
	}
	fmt.Fprintf(p.Err, "%s: can't initialize %s table `filter': Permission denied (you must be root)\n%s\n", p.version(), p.base(), p.upgrade())
	return exitVersion
}
