package face

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"unicode"

	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/engine/apply"
)

var restoreOptions = []option{
	{'c', "counters", noArg}, {'v', "verbose", noArg}, {'V', "version", noArg}, {'t', "test", noArg}, {'h', "help", noArg},
	{'n', "noflush", noArg}, {'M', "modprobe", needsArg}, {'T', "table", needsArg}, {'w', "wait", mayHaveArg}, {'W', "wait-interval", mayHaveArg},
}

// familyOptions are those of iptables-nft-restore alone.
var familyOptions = []option{{'4', "ipv4", noArg}, {'6', "ipv6", noArg}}

// restore is iptables-restore and ip6tables-restore (ip46tables_restore_main(),
// iptables/iptables-restore.c).
func (p *process) restore(args []string) int {
	req := &apply.Request{Output: p.Out, Warn: p.warn}
	seconds := 0
	g := &getopt{program: p.Name, options: restoreOptions, args: args}
	if p.Dialect == NFT {
		g.options = append(g.options[:len(g.options):len(g.options)], familyOptions...)
	}
	for {
		opt, err := g.next()
		if err != nil {
			fmt.Fprintf(p.Err, "%v\nTry `%s -h' for more information.\n", err, p.shown())
			return exitOther
		}
		if opt == nil {
			break
		}
		switch opt.short {
		case 'c':
			req.Counters = true
		case 'v':
			req.Verbose = true
		case 'n':
			req.NoFlush = true
		case 't':
			req.Test, p.test = true, true
		case 'T':
			req.Table = opt.value
		case 'h':
			p.restoreHelp()
			return exitOK
		case 'V':
			fmt.Fprintln(p.Out, p.version())
			return exitOK
		case 'w', 'W':
			n, said := p.waitOf(g, opt)
			if said != "" {
				return p.usage(said, 0)
			}
			if opt.short == 'w' && p.Dialect == Legacy {
				seconds = n
			}
		}
	}
	text, code := p.text(g.rest)
	if text == nil {
		return code
	}
	defer text.Close()
	spooled, err := beside.Spool(text)
	if err != nil {
		return p.fail(err)
	}
	p.commits.in = spooled
	req.Text = &p.commits
	held, err := p.acquire(seconds)
	if err != nil {
		return p.fail(err)
	}
	defer held.Release()
	err = p.engines(p.Family, p.Caller, func(e *apply.Engine) error { return beside.Restore(e, p.Caller, req, p.how()) })
	p.told.WriteTo(p.Out)
	return p.fail(err)
}

// waitOf reads the argument of -w or -W, which may be missing; said: what is wrong with it.
func (p *process) waitOf(g *getopt, opt *given) (n int, said string) {
	value, has := opt.value, opt.has
	if !has {
		value, has = g.takeFollowing()
	}
	what := "wait seconds not numeric"
	if opt.short == 'W' {
		what = "wait interval not numeric"
		if !has {
			return 0, "wait interval value required"
		}
	}
	if !has || p.Dialect == NFT {
		return -1, ""
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, what
	}
	if opt.short == 'W' {
		fmt.Fprintln(p.Err, "Ignoring deprecated --wait-interval option.")
	}
	return n, ""
}

// text opens the text; nil and an exit code if that cannot be.
func (p *process) text(files []string) (io.ReadCloser, int) {
	text, said := p.textOf(files)
	if text == nil {
		fmt.Fprintln(p.Err, said)
		return nil, exitOther
	}
	return text, exitOK
}

// textOf opens the text that arguments name; nil: what is wrong with them.
func (p *process) textOf(files []string) (text io.ReadCloser, said string) {
	switch {
	case len(files) > 1:
		return nil, "Unknown arguments found on commandline"
	case len(files) == 0:
		return io.NopCloser(p.In), ""
	}
	f, err := p.Open(files[0])
	if err != nil {
		return nil, fmt.Sprintf("Can't open %s: %s", files[0], reason(err))
	}
	return f, ""
}

// reason is why a file could not be opened, with the capital that C gives it.
func reason(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	text := []rune(err.Error())
	text[0] = unicode.ToUpper(text[0])
	return string(text)
}

// restoreHelp is what --help prints.
func (p *process) restoreHelp() {
	wait, families := " [-w secs] [-W usecs]", ""
	if p.Dialect == NFT {
		wait, families = "", " [-4] [-6]"
	}
	fmt.Fprintf(p.Err, "Usage: %s [-c] [-v] [-V] [-t] [-h] [-n]%s [-T table] [-M command]%s [file]\n", p.shown(), wait, families)
	for _, o := range []string{"--counters ", "--verbose ", "--version", "--test ", "--help ", "--noflush "} {
		fmt.Fprintf(p.Err, "\t   [ %s]\n", o)
	}
	if p.Dialect == Legacy {
		fmt.Fprint(p.Err, "\t   [ --wait=<seconds>\n")
	}
	fmt.Fprint(p.Err, "\t   [ --table=<TABLE> ]\n\t   [ --modprobe=<command> ]\n")
	if p.Dialect == NFT {
		fmt.Fprint(p.Err, "\t   [ --ipv4 ]\n\t   [ --ipv6 ]\n")
	}
}
