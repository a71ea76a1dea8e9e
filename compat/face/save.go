package face

import (
	"errors"
	"fmt"
	"io"

	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
)

var saveOptions = []option{
	{'c', "counters", noArg}, {'V', "version", noArg}, {'d', "dump", noArg}, {'t', "table", needsArg},
	{'M', "modprobe", needsArg}, {'f', "file", needsArg},
}

// nftOrder is the order in which iptables-nft-save prints tables (enum nft_table_type,
// iptables/nft.h).
var nftOrder = []string{"mangle", "security", "raw", "filter", "nat"}

// save is iptables-save and ip6tables-save (do_iptables_save(), iptables/iptables-save.c).
func (p *process) save(args []string) int {
	o := iptables.PrintOptions{Comments: true, Program: p.shown(), Version: p.generator()}
	if p.Dialect == NFT {
		o.Order = nftOrder
	}
	file := ""
	g := &getopt{program: p.Name, options: saveOptions, args: args}
	for {
		opt, err := g.next()
		if err != nil {
			fmt.Fprintf(p.Err, "%v\nLook at manual page `%s.8' for more information.\n", err, p.shown())
			return exitOther
		}
		if opt == nil {
			break
		}
		switch opt.short {
		case 'c':
			o.Counters = true
		case 't':
			o.Table = opt.value
		case 'f':
			file = opt.value
		case 'd':
			return exitOK
		case 'V':
			fmt.Fprintln(p.Out, p.version())
			return exitOK
		}
	}
	if len(g.rest) > 0 {
		fmt.Fprintln(p.Err, "Unknown arguments found on commandline")
		return exitOther
	}
	if o.Table != "" && !tables.Known(o.Table) {
		return p.noSave(o.Table)
	}
	return p.fail(p.write(file, func(out io.Writer) error { return p.print(out, o) }))
}

// generator is the version in the comments of texts.
func (f Face) generator() string {
	if f.Dialect == NFT {
		return Version + " (nf_tables)"
	}
	return Version
}

// noSave says that there is no table of a name.
func (p *process) noSave(table string) int {
	if p.Dialect == NFT {
		fmt.Fprintf(p.Err, "Table `%s' does not exist\n", table)
		return exitOther
	}
	fmt.Fprintf(p.Err, "%s: Cannot initialize: Table does not exist (do you need to insmod?)\n", p.version())
	return exitOther
}

// write prints to a file, or to standard output for "".
func (p *process) write(file string, print func(io.Writer) error) error {
	if file == "" {
		return print(p.Out)
	}
	f, err := p.Create(file)
	if err != nil {
		fmt.Fprintf(p.Err, "Failed to open file, error: %s\n", reason(err))
		return beside.ErrReported
	}
	return errors.Join(print(f), f.Close())
}

// print prints the tables.
func (p *process) print(out io.Writer, o iptables.PrintOptions) error {
	return p.engines(p.Family, p.Caller, func(e *apply.Engine) error { return beside.Save(e, p.Caller, out, o, beside.How{Quiet: true}) })
}
