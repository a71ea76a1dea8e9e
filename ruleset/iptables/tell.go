package iptables

import (
	"bufio"
	"fmt"
	"io"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/match"
)

// tell writes what a command with -v says of a rule that it deals with (print_firewall_line(),
// iptables/iptables.c).
func (rd *reader) tell(c *command, r *ruleset.Rule) {
	if !rd.tells(c) {
		return
	}
	l := &lister{out: bufio.NewWriter(rd.o.Told), o: ListOptions{Family: rd.o.Family, Numeric: true}}
	b := l.baseOf(r)
	name, ok := match.ProtocolName(b.proto, nil)
	if !ok {
		name = fmt.Sprint(b.proto)
	}
	fmt.Fprintf(l.out, "%s %s%s opt %s in %s out %s %s%s %s-> %s  ", targetName(r), mark(b.notProto), name, b.frag, b.in, b.out,
		mark(b.notSrc), l.address(b.src), mark(b.notDst), l.address(b.dst))
	l.words(&b, r)
	_ = l.out.Flush()
}

// tellChain writes what a command with -v says of a chain.
func (rd *reader) tellChain(c *command, doing string, e *chainEdit) {
	if rd.tells(c) {
		fmt.Fprintf(rd.o.Told, "%s chain `%s'\n", doing, e.name)
	}
}

// tells says whether a command says what it does: with -v, and in a text with -v that keeps nothing.
func (rd *reader) tells(c *command) bool {
	return rd.o.Told != nil && (c.verbose > 0 || rd.o.Verbose && !rd.o.NoFlush)
}

// tellEmptied writes which chains a text empties.
func (rd *reader) tellEmptied() {
	if !rd.o.Verbose || rd.o.Told == nil {
		return
	}
	for _, e := range rd.cur.sorted() {
		fmt.Fprintf(rd.o.Told, "Flushing chain `%s'\n", e.name)
	}
	for _, e := range rd.cur.sorted() {
		if e.policy == "" {
			fmt.Fprintf(rd.o.Told, "Deleting chain `%s'\n", e.name)
		}
	}
}

// toldOnce is where a change writes that may be tried more than once.
func toldOnce(w io.Writer) {
	if b, ok := w.(interface{ Reset() }); ok {
		b.Reset()
	}
}
