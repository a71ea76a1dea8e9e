// Package fence is an owner of rules beside iptables, for tests: a frontend with a language
// of its own, of which a line is
//
//	FAMILY TABLE CHAIN HOOK PRIORITY POLICY                 a base chain
//	FAMILY TABLE CHAIN saddr|daddr ADDRESS VERDICT          a rule
//	FAMILY TABLE CHAIN udp PORT VERDICT                     a rule
//	FAMILY TABLE CHAIN in SET VERDICT                       is the source, or the port, in a set?
//	FAMILY TABLE CHAIN add SET continue                     the source, or the port, comes into it
//	FAMILY set SET addr|port SIZE ELEMENT,ELEMENT           a set; - is no element
//
// A verdict is accept, drop, continue, reject, or mark: that is 7 then, and the packet goes on.
// A set has either addresses of its family or ports; sets of ports are one for both families.
package fence

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Owner is the name of the owner.
const Owner = "fence"

// Change makes a ruleset that of the owner.
func Change(e *apply.Engine, wanted *ruleset.Ruleset) apply.Change {
	return apply.Change{Engine: e, Owner: Owner,
		Edit: func([]*ruleset.Table) ([]*ruleset.Table, error) { return wanted.Tables, nil },
		Sets: func([]*ruleset.Set) ([]*ruleset.Set, error) { return wanted.Sets, nil },
	}
}

// reader reads the lines of both families.
type reader struct {
	out    map[string]*ruleset.Ruleset // by family
	tables map[string]*ruleset.Table
}

// Read makes rulesets of lines, by family.
func Read(in io.Reader) (map[string]*ruleset.Ruleset, error) {
	r := reader{map[string]*ruleset.Ruleset{}, map[string]*ruleset.Table{}}
	for _, f := range []packet.Family{packet.IPv4, packet.IPv6} {
		r.out[f.String()] = &ruleset.Ruleset{Family: f}
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20) // a set is a line
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) != 6 || r.out[words[0]] == nil {
			return nil, fmt.Errorf("line %d: give six words, the first ipv4 or ipv6", n)
		}
		if err := r.line(r.out[words[0]], words, ruleset.Pos{File: Owner, Line: n}); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return r.out, lines.Err()
}

func (r reader) line(rs *ruleset.Ruleset, words []string, at ruleset.Pos) error {
	if words[1] == "set" {
		s, err := readSet(rs.Family, words[2:])
		rs.Sets = append(rs.Sets, s)
		return err
	}
	key := words[0] + " " + words[1]
	t := r.tables[key]
	if t == nil {
		t = &ruleset.Table{Family: rs.Family, Name: words[1], Owner: Owner}
		r.tables[key], rs.Tables = t, append(rs.Tables, t)
	}
	c := t.Chain(words[2])
	if c == nil {
		base, err := readBase(words[3:])
		t.AddChain(&ruleset.Chain{Name: words[2], Base: base})
		return err
	}
	rule, err := readRule(words[3:])
	if err == nil {
		rule.Pos = at
		c.Rules = append(c.Rules, rule)
	}
	return err
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
	if words[0] == "add" {
		return &ruleset.Rule{Target: add(words[1])}, nil
	}
	c := condition{words[0], words[1]}
	if _, err := c.pred(); err != nil {
		return nil, err
	}
	if !verdict(words[2]).known() {
		return nil, fmt.Errorf("no verdict %q", words[2])
	}
	return &ruleset.Rule{Matches: []ruleset.Match{c}, Target: verdict(words[2])}, nil
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
	if c.of == "in" {
		return pred.InSet{Set: Owner + "/" + c.value, Key: keyOf(c.value)}, nil
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

// Dialect is how rules are stored.
type Dialect struct{}

// Owner is the name of the owner.
func (Dialect) Owner() string { return Owner }

// Append appends the words of a rule.
func (Dialect) Append(b []byte, r *ruleset.Rule) []byte {
	if a, is := r.Target.(add); is {
		return fmt.Append(b, "add ", string(a), " continue")
	}
	return append(b, strings.Join(append(r.Matches[0].Args(), r.Target.Word()), " ")...)
}

// Read reads them again.
func (Dialect) Read(text []byte) (*ruleset.Rule, error) {
	return readRule(strings.Fields(string(text)))
}
