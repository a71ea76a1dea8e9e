// Package fence is an owner of rules beside iptables, for tests: a frontend with a language
// of its own, of which a line is
//
//	FAMILY TABLE CHAIN HOOK PRIORITY POLICY          a base chain
//	FAMILY TABLE CHAIN udp PORT VERDICT              a rule about the port that UDP goes to
//	FAMILY TABLE CHAIN in SET VERDICT                is the source, or the port, in a set?
//	FAMILY set SET addr|port SIZE ELEMENT,ELEMENT    a set; - is no element
//
// A verdict is accept, drop or reject; continue; mark, which is 7 then; or add:SET: the source,
// or the port, comes into a set. Behind the last three a packet goes on. A set has either
// addresses of its family or, if its name begins with "port", ports: such a set is one for both
// families.
package fence

import (
	"bufio"
	"encoding/binary"
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

// Read makes rulesets of lines, by family.
func Read(in io.Reader) (map[string]*ruleset.Ruleset, error) {
	out := map[string]*ruleset.Ruleset{"ipv4": {Family: packet.IPv4}, "ipv6": {Family: packet.IPv6}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20) // a set is a line
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) != 6 || out[words[0]] == nil {
			return nil, fmt.Errorf("line %d: give six words, the first ipv4 or ipv6", n)
		}
		if err := readLine(out[words[0]], words[1:], ruleset.Pos{File: Owner, Line: n}); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return out, lines.Err()
}

func readLine(rs *ruleset.Ruleset, words []string, at ruleset.Pos) error {
	if words[0] == "set" {
		s, err := readSet(rs.Family, words[1:])
		rs.Sets = append(rs.Sets, s)
		return err
	}
	t := rs.Table(words[0])
	if t == nil {
		t = &ruleset.Table{Family: rs.Family, Name: words[0], Owner: Owner}
		rs.Tables = append(rs.Tables, t)
	}
	c := t.Chain(words[1])
	if c == nil {
		base, err := readBase(words[2:])
		t.AddChain(&ruleset.Chain{Name: words[1], Base: base})
		return err
	}
	rule, err := readRule(words[2:])
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

func readSet(family packet.Family, words []string) (*ruleset.Set, error) {
	size, err := strconv.Atoi(words[2])
	types := map[string]ruleset.KeyType{"port": ruleset.KeyPort, "addr": ruleset.KeyAddr4}
	if family == packet.IPv6 {
		types["addr"] = ruleset.KeyAddr6
	}
	s := &ruleset.Set{
		Name: Owner + "/" + words[0], Owner: Owner, Size: size, Flags: ruleset.SetDynamic, Type: []ruleset.KeyType{types[words[1]]},
	}
	for e := range strings.FieldsFuncSeq(words[3], func(r rune) bool { return r == ',' || r == '-' }) {
		a, failed := netip.ParseAddr(e)
		part := a.AsSlice()
		if words[1] == "port" {
			var port uint64
			port, failed = strconv.ParseUint(e, 10, 16)
			part = binary.BigEndian.AppendUint16(nil, uint16(port))
		}
		err = errors.Join(err, failed)
		s.Elements = append(s.Elements, ruleset.Element{Key: pred.AppendKey(nil, part)})
	}
	return s, err
}

// keyOf is what of a packet is in a set.
func keyOf(set string) (name string, key pred.SetKey) {
	if strings.HasPrefix(set, "port") {
		return Owner + "/" + set, pred.KeyOf(port)
	}
	return Owner + "/" + set, pred.KeyOf(pred.AddrSrc)
}

func readRule(words []string) (*ruleset.Rule, error) {
	c, v := condition{words[:2:2]}, verdict{words[2:]}
	_, known := verdicts[words[2]]
	if known = known || words[2] == "reject" || strings.HasPrefix(words[2], "add:"); !known {
		return nil, fmt.Errorf("no verdict %q", words[2])
	}
	if _, err := strconv.ParseUint(words[1], 10, 16); words[0] != "in" && (words[0] != "udp" || err != nil) {
		return nil, fmt.Errorf("no condition %q %q", words[0], words[1])
	}
	return &ruleset.Rule{Matches: []ruleset.Match{c}, Target: v}, nil
}

// words are those of a part of a rule.
type words []string

func (w words) Word() string               { return w[0] }
func (w words) Args() []string             { return w }
func (w words) Check(*ruleset.Place) error { return nil }

// condition is what a rule asks.
type condition struct{ words }

// port is where a datagram goes.
var port = pred.Load{Base: pred.BaseL4, Off: 2, Width: 2}

func (c condition) Eval(f *packet.Facts) pred.Answer { return pred.Eval(c.Lower(nil), f) }

func (c condition) Lower(*ruleset.Place) pred.Pred {
	if c.words[0] == "in" {
		set, key := keyOf(c.words[1])
		return pred.InSet{Set: set, Key: key}
	}
	const udp = 17
	n, _ := strconv.ParseUint(c.words[1], 10, 16) // readRule has asked
	return pred.And{pred.In(pred.FieldProto, udp, udp), pred.In(port, uint32(n), uint32(n))}
}

// verdict is what a rule does.
type verdict struct{ words }

var verdicts = map[string]pred.Action{
	"accept": {Op: pred.Accept}, "drop": {Op: pred.Drop}, "continue": {Op: pred.Continue},
	"mark": pred.Doing(pred.SetMark{Dst: pred.FieldMark, Src: pred.FieldMark, Xor: 7}),
}

// Lower rejects with "port unreachable" (RFC 792, RFC 4443).
func (v verdict) Lower(at *ruleset.Place) pred.Action {
	if name, is := strings.CutPrefix(v.words[0], "add:"); is {
		set, key := keyOf(name)
		return pred.Doing(pred.SetUpdate{Set: set, Key: key})
	}
	if v.words[0] == "reject" {
		return pred.Doing(pred.Reject{Code: map[packet.Family]uint8{packet.IPv4: 3, packet.IPv6: 4}[at.Family]})
	}
	return verdicts[v.words[0]]
}

// Dialect is how rules are stored.
type Dialect struct{}

// Owner is the name of the owner.
func (Dialect) Owner() string { return Owner }

// Append appends the words of a rule.
func (Dialect) Append(b []byte, r *ruleset.Rule) []byte {
	return append(b, strings.Join(append(r.Matches[0].Args(), r.Target.Word()), " ")...)
}

// Read reads them again.
func (Dialect) Read(text []byte) (*ruleset.Rule, error) {
	return readRule(strings.Fields(string(text)))
}
