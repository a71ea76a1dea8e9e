// Package rows reads the rows of match/testdata: one file for each word, in which
// every rule says how it is printed or why it is refused, and what netfilter
// answers for packets. The same rows are judged by the parser and printer, by
// Eval, by pred.Eval of Lower, by the BPF program and by netfilter itself.
//
// In: files of lines. Out: Rows, one for each rule and family. What is refused: a
// line of another form, with its position. Example of a file:
//
//	# Boundaries of a range.
//	rule 46 -p tcp -m tcp --dport 22:80
//	packet tcp 192.0.2.1:5555 > 198.51.100.1:21 -> no
//	packet tcp 192.0.2.1:5555 > 198.51.100.1:22 -> match
//	packet cut 39 tcp -> hotdrop
//
//	rule 4 -p tcp --dport ssh
//	prints -p tcp -m tcp --dport 22
//
//	at filter INPUT
//	rule 6 -p udp -m tcp --dport 22
//	refused only valid for protocol tcp
//
// The lines are:
//
//	at TABLE CHAIN       where the rules that follow stand; at first raw PREROUTING
//	rule FAMILIES ARGS   4, 6 or 46; ARGS as in iptables-restore, quotes included
//	prints ARGS          what iptables-save prints for the rule, if not ARGS
//	lossy REASON         what iptables-save prints is not read back as it was
//	refused TEXT         the error of the rule contains the text
//	packet TEXT -> ANSWER
//	                     match, no, hotdrop, or match+hotdrop: netfilter counts the
//	                     rule and then drops, which Eval calls hotdrop. TEXT is the
//	                     packet language. Addresses of one family make it a packet
//	                     of that family only; "4:" or "6:" before TEXT does too
//	unsent REASON        the packet above cannot be brought to netfilter in a lab
//	older ANSWER REASON  netfilter of older kernels answers the packet above with
//	                     ANSWER: a known difference (docs/differences.md)
//
// Packets of one row are sent in order and share the memory of stateful words; the
// word "jiffies N" of the packet language is their clock, 1000 ticks a second.
package rows

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Row is one rule of one family.
type Row struct {
	Pos          ruleset.Pos
	Word         string // the file's name without ".txt"
	Family       packet.Family
	Table, Chain string
	Rule         string // as written
	Prints       string // as iptables-save prints it
	Lossy        string // why Prints is not read back; empty: it is
	Refused      string // part of the error; empty: the rule is accepted
	Packets      []Packet
}

// Packet is one packet with the answer to it.
type Packet struct {
	Pos     ruleset.Pos
	Text    string      // in the packet language
	Want    pred.Answer // of Eval
	Counted bool        // with Hotdrop: netfilter counts the rule before it drops
	Unsent  string      // why netfilter cannot be asked; empty: it can
	Older   *Packet     // what older kernels answer; nil: the same
}

// Name is a short name for subtests.
func (r *Row) Name() string { return fmt.Sprintf("%s:%d/%s", r.Word, r.Pos.Line, r.Family) }

// Load reads every .txt file of a directory.
func Load(dir string) ([]*Row, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no files with rows", dir)
	}
	var all []*Row
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		rows, err := Parse(file, name)
		file.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

// Parse reads one file; name is for positions and gives the word.
func Parse(r io.Reader, name string) ([]*Row, error) {
	p := parser{table: "raw", chain: "PREROUTING", pos: ruleset.Pos{File: name}}
	p.word = strings.TrimSuffix(filepath.Base(name), ".txt")
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		p.pos.Line++
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		kind, rest, _ := strings.Cut(line, " ")
		if err := p.line(kind, strings.TrimSpace(rest)); err != nil {
			return nil, &ruleset.Error{Pos: p.pos, Thing: kind, What: err.Error()}
		}
	}
	return p.all, lines.Err()
}

type parser struct {
	pos          ruleset.Pos
	word         string
	table, chain string
	all          []*Row
	last         []*Row    // of the last rule line
	packets      []*Packet // of the last packet line
}

func (p *parser) line(kind, rest string) error {
	if kind != "at" && kind != "rule" && len(p.last) == 0 {
		return fmt.Errorf("a rule line must come first")
	}
	switch kind {
	case "at":
		table, chain, ok := strings.Cut(rest, " ")
		p.table, p.chain = table, chain
		if !ok || !tables.Known(table) {
			return fmt.Errorf("give a table and a chain")
		}
		return nil
	case "rule":
		return p.rule(rest)
	case "prints":
		for _, r := range p.last {
			r.Prints = rest
		}
		return nil
	case "lossy":
		for _, r := range p.last {
			r.Lossy = rest
		}
		return nil
	case "refused":
		for _, r := range p.last {
			r.Refused = rest
		}
		return nil
	case "packet":
		return p.packet(rest)
	case "unsent":
		for _, pk := range p.packets {
			pk.Unsent = rest
		}
		return nil
	case "older":
		return p.older(rest)
	}
	return fmt.Errorf("unknown line; give at, rule, prints, lossy, refused, packet, unsent or older")
}

func (p *parser) rule(rest string) error {
	families, rule, _ := strings.Cut(rest, " ")
	p.last, p.packets = nil, nil
	for _, digit := range families {
		family := packet.Family(digit - '0')
		if family != packet.IPv4 && family != packet.IPv6 {
			return fmt.Errorf("families %q; give 4, 6 or 46", families)
		}
		p.last = append(p.last, &Row{
			Pos: p.pos, Word: p.word, Family: family, Table: p.table, Chain: p.chain,
			Rule: rule, Prints: rule,
		})
	}
	p.all = append(p.all, p.last...)
	return nil
}

var answers = map[string]Packet{
	"match":         {Want: pred.Yes},
	"no":            {Want: pred.No},
	"hotdrop":       {Want: pred.Hotdrop},
	"match+hotdrop": {Want: pred.Hotdrop, Counted: true},
}

func (p *parser) older(rest string) error {
	answer, reason, _ := strings.Cut(rest, " ")
	older, ok := answers[answer]
	if !ok || reason == "" {
		return fmt.Errorf("give an answer and a reason")
	}
	for _, pk := range p.packets {
		pk.Older = &older
	}
	return nil
}

func (p *parser) packet(rest string) error {
	at := strings.LastIndex(rest, "->")
	if at < 0 {
		return fmt.Errorf("no answer; end with -> match, -> no or -> hotdrop")
	}
	pk, ok := answers[strings.TrimSpace(rest[at+2:])]
	if !ok {
		return fmt.Errorf("answer %q; give match, no, hotdrop or match+hotdrop", strings.TrimSpace(rest[at+2:]))
	}
	pk.Pos, pk.Text = p.pos, strings.TrimSpace(rest[:at])
	only := familyOf(&pk.Text)
	p.packets = nil
	for _, r := range p.last {
		if only != 0 && only != r.Family {
			continue
		}
		if _, err := packet.Parse(r.Family, pk.Text); err != nil {
			return err
		}
		r.Packets = append(r.Packets, pk)
	}
	for _, r := range p.last {
		if n := len(r.Packets); n > 0 && r.Packets[n-1].Pos == p.pos {
			p.packets = append(p.packets, &r.Packets[n-1])
		}
	}
	if len(p.packets) == 0 {
		return fmt.Errorf("the packet is of another family than the rule")
	}
	return nil
}

// familyOf says of which family a packet must be, by a mark before the text or by
// its addresses; 0: any.
func familyOf(text *string) packet.Family {
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		if rest, ok := strings.CutPrefix(*text, fmt.Sprintf("%d:", family)); ok {
			*text = strings.TrimSpace(rest)
			return family
		}
	}
	before, _, arrow := strings.Cut(*text, ">")
	if !arrow {
		return 0
	}
	words := strings.Fields(before)
	if strings.Count(words[len(words)-1], ":") > 1 {
		return packet.IPv6
	}
	return packet.IPv4
}
