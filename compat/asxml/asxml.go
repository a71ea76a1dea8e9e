// Package asxml prints the text of iptables-save as XML, as iptables-xml of iptables 1.8.9 does
// (its manual page is iptables-xml(1)).
//
// In: the text. Out: the XML, up to the line that is wrong. Refused: lines that belong to no table, rules
// without -A, and texts whose last table is not ended by COMMIT.
//
//	err := asxml.Write(os.Stdout, text, asxml.Options{Combine: true})
package asxml

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bpftables/bpftables/ruleset/iptables"
)

// Options are those of the program.
type Options struct {
	Combine bool // actions of rules with the same conditions stand in one rule
	Verbose bool // each line is also a comment
}

// Fault is what is wrong with a text.
type Fault struct {
	Text string
	Line int // that a message of its own names; 0: none
}

// Error is the text.
func (f *Fault) Error() string { return f.Text }

// program is the name that messages and their texts begin with.
const program = "iptables-xml"

// misread is a fault that the program tells as one of its use, and exits with 2.
func misread(line int, format string, args ...any) error {
	return &Fault{Text: fmt.Sprintf(format, args...), Line: line}
}

func failed(format string, args ...any) error { return &Fault{Text: fmt.Sprintf(format, args...)} }

// nameMax is what is printed of the name of a table or a chain (XT_TABLE_MAXNAMELEN).
const nameMax = 32

func cut(name string) string { return name[:min(len(name), nameMax)] }

// chain is a chain that the text has declared; it is printed before its first rule, or at the end of its table.
type chain struct {
	name, policy   string
	packets, bytes uint64
	printed        bool
}

// writer prints a text line by line.
type writer struct {
	out    *bufio.Writer
	o      Options
	table  string // that is open; "": none
	chain  string // that is open; "": none
	chains []chain
	last   []iptables.Word // the rule before
	inRule bool            // a rule and its actions are open
}

// Write prints a text as XML.
func Write(out io.Writer, text io.Reader, o Options) error {
	w := &writer{out: bufio.NewWriter(out), o: o}
	err := w.text(bufio.NewReader(text))
	return errors.Join(err, w.out.Flush())
}

func (w *writer) text(in *bufio.Reader) error {
	w.out.WriteString("<iptables-rules version=\"1.0\">\n")
	number := 0
	for {
		line, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if line == "" {
			break
		}
		number++
		if err := w.line(line, number); err != nil {
			return err
		}
	}
	if w.table != "" {
		return failed("%s: COMMIT expected at line %d", program, number+1)
	}
	w.out.WriteString("</iptables-rules>\n")
	return nil
}

func (w *writer) line(line string, number int) error {
	switch line[0] {
	case '\n':
		return nil
	case '#':
		w.comment("", line)
		return nil
	}
	if w.o.Verbose {
		w.comment(fmt.Sprintf("line %d ", number), line)
	}
	switch {
	case line[0] == '*':
		return w.openTable(line, number)
	case w.table == "":
		return failed("%s: line %d failed", program, number)
	case line == "COMMIT\n":
		w.closeTable()
		return nil
	case line[0] == ':':
		return w.declare(line, number)
	}
	return w.rule(line, number)
}

// openTable takes a line "*TABLE".
func (w *writer) openTable(line string, number int) error {
	name := iptables.Fields(line[1:])
	if len(name) == 0 {
		return misread(number, "%s: line %d table name invalid", program, number)
	}
	w.closeTable()
	w.table = cut(name[0])
	w.out.WriteString("  <table ")
	w.attribute("name", w.table)
	w.out.WriteString(">\n")
	return nil
}

// closeTable also prints the chains that have no rules.
func (w *writer) closeTable() {
	w.closeChain()
	for _, c := range w.chains {
		if !c.printed {
			w.chainTag(c)
			w.out.WriteString("/>\n")
		}
	}
	w.chains = nil
	if w.table != "" {
		w.out.WriteString("  </table>\n")
	}
	w.table = ""
}

// declare takes a line ":CHAIN POLICY [PACKETS:BYTES]".
func (w *writer) declare(line string, number int) error {
	f := iptables.Fields(line[1:])
	switch len(f) {
	case 0:
		return misread(number, "%s: line %d chain name invalid", program, number)
	case 1:
		return misread(number, "%s: line %d policy invalid", program, number)
	}
	c := chain{name: f[0], policy: f[1]}
	if len(f) > 2 {
		fmt.Sscanf(f[2], "[%d:%d]", &c.packets, &c.bytes) // what is no counter is 0
	}
	w.chains = append(w.chains, c)
	return nil
}

// chainTag prints the tag of a chain up to its end.
func (w *writer) chainTag(c chain) {
	w.out.WriteString("    <chain ")
	w.attribute("name", cut(c.name))
	if c.policy != "-" {
		w.attribute("policy", c.policy)
	}
	// Counters are printed as numbers with a sign, as there.
	w.attribute("packet-count", fmt.Sprint(int64(c.packets)))
	w.attribute("byte-count", fmt.Sprint(int64(c.bytes)))
}

// enter opens a chain that is not open, if the text has declared it.
func (w *writer) enter(name string) {
	if w.chain == name {
		return
	}
	for i := range w.chains {
		c := &w.chains[i]
		if c.name != name {
			continue
		}
		w.closeChain()
		w.chainTag(*c)
		w.out.WriteString(">\n")
		w.chain, c.printed = cut(name), true
	}
}

func (w *writer) closeChain() {
	if w.chain == "" {
		return
	}
	w.closeRule()
	w.out.WriteString("    </chain>\n")
	w.chain = ""
}

// declared says whether a name after -j is a chain.
func (w *writer) declared(name string) bool {
	if w.chain == name {
		return true
	}
	for _, c := range w.chains {
		if c.name == name {
			return true
		}
	}
	return false
}

// comment prints a line as a comment: an XML comment must not have two hyphens in a row.
func (w *writer) comment(before, text string) {
	w.out.WriteString("<!-- " + before)
	hyphens := 0
	for _, c := range []byte(strings.TrimSuffix(text, "\n")) {
		if c == '-' {
			if hyphens++; hyphens == 2 {
				hyphens = 0
				w.out.WriteByte(' ')
			}
			w.out.WriteByte('*')
		}
		w.out.WriteByte(c)
	}
	w.out.WriteString(" -->\n")
}

func (w *writer) attribute(name, value string) {
	w.out.WriteString(name + "=\"")
	w.encoded(value)
	w.out.WriteString("\" ")
}

// encoded prints bytes, those beyond ASCII as numbers.
func (w *writer) encoded(text string) {
	for _, c := range []byte(text) {
		switch {
		case c >= 127:
			fmt.Fprintf(w.out, "&#%d;", c)
		case c == '&':
			w.out.WriteString("&amp;")
		case c == '<':
			w.out.WriteString("&lt;")
		case c == '>':
			w.out.WriteString("&gt;")
		case c == '"':
			w.out.WriteString("&quot;")
		default:
			w.out.WriteByte(c)
		}
	}
}
