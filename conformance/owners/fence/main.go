// Command fence is an owner of rules beside iptables, for tests: a frontend with a language
// of its own, of which a line is
//
//	FAMILY TABLE CHAIN HOOK PRIORITY POLICY                 a base chain
//	FAMILY TABLE CHAIN saddr|daddr ADDRESS accept|drop      a rule
//	FAMILY TABLE CHAIN udp PORT accept|drop|continue        a rule
//
// "fence apply" makes its input the tables of the owner, in both families at once; "list" prints
// the packets of each rule; "restore FAMILY" is iptables-restore, "remove FAMILY" takes all away.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/datapaths"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

const owner = "fence"

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fence:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	engines := map[string]*apply.Engine{}
	for _, f := range []packet.Family{packet.IPv4, packet.IPv6} {
		e, err := datapaths.Open(f)
		if err != nil {
			return err
		}
		defer e.Close()
		e.Speak(dialect{})
		engines[f.String()] = e
	}
	switch {
	case len(args) == 2 && args[0] == "restore":
		return engines[args[1]].Restore(&apply.Request{Text: in, File: "stdin"})
	case len(args) == 1 && args[0] == "apply":
		wanted, err := read(in)
		if err != nil {
			return err
		}
		var changes []apply.Change
		for f, e := range engines {
			changes = append(changes, apply.Change{Engine: e, Owner: owner,
				Edit: func([]*ruleset.Table) ([]*ruleset.Table, error) { return wanted[f], nil }})
		}
		return apply.Apply(changes...)
	case len(args) == 2 && args[0] == "remove":
		return engines[args[1]].FlushAll()
	case len(args) == 1 && args[0] == "list":
		return errors.Join(list(engines["ipv4"], out), list(engines["ipv6"], out))
	}
	return errors.New("give apply, list or restore FAMILY")
}

// read makes tables of lines, by family.
func read(in io.Reader) (map[string][]*ruleset.Table, error) {
	out := map[string][]*ruleset.Table{}
	tables := map[string]*ruleset.Table{}
	families := map[string]packet.Family{"ipv4": packet.IPv4, "ipv6": packet.IPv6}
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) != 6 || families[words[0]] == 0 {
			return nil, fmt.Errorf("line %d: give six words, the first ipv4 or ipv6", n)
		}
		key := words[0] + " " + words[1]
		t := tables[key]
		if t == nil {
			t = &ruleset.Table{Family: families[words[0]], Name: words[1], Owner: owner}
			tables[key], out[words[0]] = t, append(out[words[0]], t)
		}
		c := t.Chain(words[2])
		if c == nil {
			base, err := readBase(words[3:])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			t.AddChain(&ruleset.Chain{Name: words[2], Base: base})
			continue
		}
		r, err := readRule(words[3:])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		r.Pos = ruleset.Pos{File: owner, Line: n}
		c.Rules = append(c.Rules, r)
	}
	return out, lines.Err()
}

func readBase(words []string) (*ruleset.Base, error) {
	hook, ok := packet.HookByName(strings.ToUpper(words[0]))
	priority, err := strconv.ParseInt(words[1], 10, 32)
	if !ok || err != nil {
		return nil, errors.New("no hook, or no priority")
	}
	policy := map[string]ruleset.Policy{"accept": ruleset.Accept, "drop": ruleset.Drop}[words[2]]
	return &ruleset.Base{Hook: hook, Priority: int32(priority), Policy: policy}, nil
}

func readRule(words []string) (*ruleset.Rule, error) {
	c := condition{words[0], words[1]}
	if _, err := c.pred(); err != nil {
		return nil, err
	}
	ops := map[string]pred.Op{"accept": pred.Accept, "drop": pred.Drop, "continue": pred.Continue}
	op, ok := ops[words[2]]
	if !ok {
		return nil, fmt.Errorf("no verdict %q", words[2])
	}
	return &ruleset.Rule{Matches: []ruleset.Match{c}, Target: verdict{words[2], op}}, nil
}

// condition is what a rule asks.
type condition struct{ of, value string }

func (c condition) Word() string                     { return c.of }
func (c condition) Args() []string                   { return []string{c.of, c.value} }
func (c condition) Check(*ruleset.Place) error       { return nil }
func (c condition) Eval(f *packet.Facts) pred.Answer { return pred.Eval(c.Lower(nil), f) }

func (c condition) Lower(*ruleset.Place) pred.Pred {
	p, _ := c.pred() // readRule has asked
	return p
}

func (c condition) pred() (pred.Pred, error) {
	if c.of == "udp" {
		const udp = 17
		port, err := strconv.ParseUint(c.value, 10, 16)
		return pred.And{pred.In(pred.FieldProto, udp, udp),
			pred.In(pred.Load{Base: pred.BaseL4, Off: 2, Width: 2}, uint32(port), uint32(port))}, err
	}
	a, err := netip.ParseAddr(c.value)
	if err != nil {
		return nil, err
	}
	field, ok := map[string]pred.AddrField{"saddr": pred.AddrSrc, "daddr": pred.AddrDst}[c.of]
	if !ok {
		return nil, fmt.Errorf("no condition %q", c.of)
	}
	p := pred.Addr{Of: field}
	for i := range copy(p.Value[:], a.AsSlice()) {
		p.Mask[i] = 0xff
	}
	return p, nil
}

// verdict is what a rule does.
type verdict struct {
	word string
	op   pred.Op
}

func (v verdict) Word() string                     { return v.word }
func (v verdict) Args() []string                   { return []string{v.word} }
func (v verdict) Check(*ruleset.Place) error       { return nil }
func (v verdict) Lower(*ruleset.Place) pred.Action { return pred.Action{Op: v.op} }

// dialect is how rules are stored.
type dialect struct{}

func (dialect) Owner() string { return owner }
func (dialect) Append(b []byte, r *ruleset.Rule) []byte {
	return append(b, strings.Join(append(r.Matches[0].Args(), r.Target.Word()), " ")...)
}
func (dialect) Read(text []byte) (*ruleset.Rule, error) {
	return readRule(strings.Fields(string(text)))
}

func list(e *apply.Engine, out io.Writer) error {
	tables, err := e.Owned(owner)
	for _, t := range tables {
		for _, c := range t.Chains {
			fmt.Fprintln(out, e.Family(), t.Name, c.Name, "policy", c.Counters.Packets)
			for _, r := range c.Rules {
				fmt.Fprintln(out, e.Family(), t.Name, c.Name, string(dialect{}.Append(nil, r)), r.Counters.Packets)
			}
		}
	}
	return err
}
