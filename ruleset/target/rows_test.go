package target

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// A row is a rule of testdata/WORD.txt and what is expected of it:
//
//	rule FAMILIES TABLE/HOOK,... ARGUMENTS
//	prints TEXT           after -j; without this line: as written
//	refused WORDS         part of the error
//	lowers ACTION         pred.Action in words
//	lists TEXT            iptables -nL
//	names TEXT            iptables -L
//	unconfirmed REASON    netfilter is not asked for this row
//
// FAMILIES is 4, 6 or 46. One hook: the rule stands in its built-in chain; more:
// in a user chain that is reached from them; "-": in a chain that is not reached.
type row struct {
	at          string
	family      packet.Family
	table       string
	hooks       []string
	args        []string
	prints      string
	refused     string
	lowers      string
	lists       *string
	names       *string
	unconfirmed string
}

func readRows(t testing.TB, file string) []*row {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows, open []*row
	s := bufio.NewScanner(f)
	for line := 1; s.Scan(); line++ {
		key, value, _ := strings.Cut(s.Text(), " ")
		if key == "rule" {
			open = newRows(t, fmt.Sprintf("%s:%d", filepath.Base(file), line), value)
			rows = append(rows, open...)
			continue
		}
		for _, r := range open {
			r.expect(t, key, value)
		}
	}
	return rows
}

func (r *row) expect(t testing.TB, key, value string) {
	switch key {
	case "prints":
		r.prints = value
	case "refused":
		r.refused = value
	case "lowers":
		r.lowers = value
	case "lists":
		r.lists = &value
	case "names":
		r.names = &value
	case "unconfirmed":
		r.unconfirmed = value
	default:
		if key != "" && !strings.HasPrefix(key, "#") {
			t.Fatalf("%s: unknown line %q", r.at, key)
		}
	}
}

func newRows(t testing.TB, at, value string) []*row {
	t.Helper()
	fields := strings.SplitN(value, " ", 3)
	table, hooks, ok := strings.Cut(fields[1], "/")
	if len(fields) != 3 || !ok {
		t.Fatalf("%s: want: rule FAMILIES TABLE/HOOK,... ARGUMENTS", at)
	}
	var rows []*row
	for _, f := range fields[0] {
		r := &row{at: fmt.Sprintf("%s/%c", at, f), family: packet.Family(f - '0'), table: table, args: words(fields[2])}
		if hooks != "-" {
			r.hooks = strings.Split(hooks, ",")
		}
		_, r.prints, _ = strings.Cut(fields[2], "-j ")
		rows = append(rows, r)
	}
	return rows
}

// words splits at spaces; double quotes keep what is in them together.
func words(s string) []string {
	var out []string
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		if rest, ok := strings.CutPrefix(s, `"`); ok {
			word, rest, _ := strings.Cut(rest, `"`)
			out, s = append(out, word), rest
			continue
		}
		word, rest, _ := strings.Cut(s, " ")
		out, s = append(out, word), rest
	}
	return out
}

// other is a match that a row names before its target.
type other struct {
	ruleset.Match
	word string
	args []string
}

func (o *other) AsksSYN() bool {
	at := slices.Index(o.args, "--tcp-flags")
	return o.word == "tcp" && at > 0 && at+2 < len(o.args) && o.args[at-1] != "!" && (strings.Contains(o.args[at+2], "SYN") || strings.Contains(o.args[at+2], "ALL"))
}

func (o *other) Word() string   { return o.word }
func (o *other) Args() []string { return o.args }

// protocol is -p.
type protocol struct {
	other
	number uint8
	negate bool
}

func (p *protocol) Protocol() (uint8, bool) { return p.number, p.negate }

var protocols = map[string]uint8{"all": 0, "icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "ipv6-icmp": 58, "sctp": 132}

// build reads the rule of a row.
func (r *row) build() (ruleset.Target, *ruleset.Place, error) {
	rule := &ruleset.Rule{}
	in := &ruleset.Place{Family: r.family, Bases: tables.Bases(r.table), Rule: rule}
	for _, h := range r.hooks {
		hook, _ := tables.HookOf(h)
		in.Hooks |= 1 << hook
	}
	env := &ruleset.Env{Family: r.family, Bases: tables.Bases(r.table), Resolve: services{"ssh": 22, "ftp": 21, "ftp-data": 20, "echo": 7}}
	at := slices.Index(r.args, "-j")
	before := r.args[:at]
	for i := 0; i+1 < len(before); i++ {
		if before[i] == "-p" {
			p := &protocol{number: protocols[before[i+1]], negate: i > 0 && before[i-1] == "!"}
			rule.Matches = append(rule.Matches, p)
			env.Proto = p.number
		}
		if before[i] == "-m" {
			rule.Matches = append(rule.Matches, &other{word: before[i+1], args: before[i:]})
		}
	}
	t, err := readTarget(env, r.args[at+1:])
	rule.Target = t
	return t, in, err
}

func readTarget(env *ruleset.Env, args []string) (ruleset.Target, error) {
	kind := Find(args[0], env.Family)
	if kind == nil {
		return nil, errors.New("no such target")
	}
	b := kind.New()
	negate := false
	for args = args[1:]; len(args) > 0; {
		if args[0] == "!" {
			negate, args = true, args[1:]
			continue
		}
		name := strings.TrimPrefix(args[0], "--")
		at := slices.IndexFunc(kind.Options, func(o ruleset.Option) bool { return o.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("unknown option %q", args[0])
		}
		n := kind.Options[at].NArgs
		if len(args) < 1+n {
			return nil, errors.New("missing argument")
		}
		if err := b.Set(env, name, negate, args[1:1+n]); err != nil {
			return nil, err
		}
		negate, args = false, args[1+n:]
	}
	return b.Target(), b.Done(env)
}

type services map[string]uint16

func (s services) Port(name, _ string) (uint16, bool)         { p, ok := s[name]; return p, ok }
func (services) Protocol(string) (uint8, bool)                { return 0, false }
func (services) ProtocolName(uint8) (string, bool)            { return "", false }
func (services) User(string) (uint32, bool)                   { return 0, false }
func (services) Group(string) (uint32, bool)                  { return 0, false }
func (services) Named(string, string) (uint32, bool)          { return 0, false }
func (services) Host(string, packet.Family) ([]string, error) { return nil, errors.New("unknown") }

// noNames is for listings with names: there are none.
type noNames struct{ ruleset.Names }

func (noNames) Address(netip.Addr) (string, bool) { return "", false }

// verdict reads a row as a reader would: the target or why it is refused.
func (r *row) verdict() (ruleset.Target, *ruleset.Place, error) {
	t, in, err := r.build()
	if err == nil {
		err = t.Check(in)
	}
	return t, in, err
}

// TestRows asks every row of testdata.
func TestRows(t *testing.T) {
	for _, k := range Kinds {
		for _, r := range readRows(t, filepath.Join("testdata", k.Name+".txt")) {
			t.Run(r.at, r.test)
		}
	}
}

// TestEveryKindHasRows checks that every word has rows for each of its families,
// and that no file of rows is forgotten.
func TestEveryKindHasRows(t *testing.T) {
	for _, k := range Kinds {
		taken := map[packet.Family]int{}
		for _, r := range readRows(t, filepath.Join("testdata", k.Name+".txt")) {
			if k.Families.Has(r.family) {
				taken[r.family]++
			}
		}
		for _, f := range []packet.Family{packet.IPv4, packet.IPv6} {
			if k.Families.Has(f) && taken[f] < 5 {
				t.Errorf("%s has %d rows for %s, want at least 5", k.Name, taken[f], f)
			}
		}
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) != len(Kinds) {
		t.Errorf("%d files of rows for %d words (%v)", len(files), len(Kinds), err)
	}
}

func (r *row) test(t *testing.T) {
	target, in, err := r.verdict()
	if r.refused != "" {
		if err == nil || !strings.Contains(tables.Word(err, r.table), r.refused) {
			t.Fatalf("%v: got %v, want an error with %q", r.args, err, r.refused)
		}
		return
	}
	if err != nil {
		t.Fatalf("%v: refused: %v", r.args, err)
	}
	if got := ruleset.TextOf(target); got != r.prints {
		t.Errorf("%v prints %q, want %q", r.args, got, r.prints)
	}
	if got := target.Lower(in).String(); r.lowers != "" && got != r.lowers {
		t.Errorf("%v lowers to %q, want %q", r.args, got, r.lowers)
	}
	if r.lists != nil {
		if got := list(target, nil); got != *r.lists {
			t.Errorf("%v lists as %q, want %q", r.args, got, *r.lists)
		}
	}
	if r.names != nil {
		if got := list(target, noNames{}); got != *r.names {
			t.Errorf("%v lists with names as %q, want %q", r.args, got, *r.names)
		}
	}
	r.readBack(t, target)
	if in.Rule.Target = target; !strings.HasPrefix(r.unconfirmed, "not readable") {
		comesBack(t, in, in.Action().Effect)
	}
}

// comesBack checks that the words of an effect's target, read again, give the same effect,
// and that its stored form does.
func comesBack(t *testing.T, in *ruleset.Place, e pred.Effect) {
	t.Helper()
	if e == nil {
		return
	}
	seen[reflect.TypeOf(e)] = true
	to := Of(in.Family, e)
	if to == nil {
		t.Fatalf("no target has the effect %s", e)
	}
	again, err := readTarget(&ruleset.Env{Family: in.Family, Bases: in.Bases, Proto: protoTCP}, ruleset.ExactArgsOf(to))
	if err != nil {
		t.Fatalf("%q: the words of %s are refused: %v", ruleset.ExactArgsOf(to), e, err)
	}
	if got := again.Lower(in).Effect; got != e {
		t.Errorf("%s: its words %q have the effect %s", e, ruleset.ExactArgsOf(to), got)
	}
	data, err := pred.EncodeEffect(e)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pred.DecodeEffect(data); got != e {
		t.Errorf("%s: its stored form %s is %v (%v)", e, data, got, err)
	}
}

// seen are the effects that rows have.
var seen = map[reflect.Type]bool{}

// TestEveryEffect fails when an effect is said by no row: nothing then checks its words
// and its stored form.
func TestEveryEffect(t *testing.T) {
	TestRows(t)
	seen[reflect.TypeOf(pred.SetUpdate{})] = true // sets of ours: iptables has no words for them
	for _, e := range pred.Effects {
		if !seen[reflect.TypeOf(e)] {
			t.Errorf("no row of testdata has the effect %T", e)
		}
	}
}

// readBack reads what was printed once more: it must print the same.
func (r *row) readBack(t *testing.T, first ruleset.Target) {
	env := &ruleset.Env{Family: r.family, Bases: tables.Bases(r.table), Proto: protoTCP}
	again, err := readTarget(env, first.Args())
	if err != nil {
		if strings.HasPrefix(r.unconfirmed, "not readable") {
			return
		}
		t.Fatalf("%v: what is printed is refused: %v", first.Args(), err)
	}
	if got, want := ruleset.TextOf(again), ruleset.TextOf(first); got != want {
		t.Errorf("%v prints %q when read back, not %q", r.args, got, want)
	}
}

func list(t ruleset.Target, names ruleset.Names) string {
	if l, ok := t.(ruleset.Lister); ok {
		return l.List(names)
	}
	return ""
}

// TestKinds checks the table of words.
func TestKinds(t *testing.T) {
	if !slices.IsSortedFunc(Kinds, func(a, b *ruleset.TargetKind) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("Kinds is not sorted")
	}
	for _, k := range Kinds {
		if k.Doc == "" || k.New == nil || k.Families == 0 {
			t.Errorf("%s lacks doc, builder or families", k.Name)
		}
		for _, o := range k.Options {
			if o.Help == "" {
				t.Errorf("%s --%s has no help", k.Name, o.Name)
			}
		}
		if got := k.New().Target().Word(); got != k.Name {
			t.Errorf("%s builds a %s", k.Name, got)
		}
	}
	if Find("ECN", packet.IPv6) != nil || Find("NOSUCH", packet.IPv4) != nil {
		t.Error("Find finds words that the family does not have")
	}
}

// TestJump checks user chains as targets.
func TestJump(t *testing.T) {
	in := &ruleset.Place{Family: packet.IPv4, Bases: tables.Bases("filter"), Rule: &ruleset.Rule{Target: NewJump("web")}}
	if got := in.Action().String(); got != "jump web" {
		t.Errorf("-j web lowers to %q", got)
	}
	in.Rule.Goto = true
	if got := in.Action().String(); got != "goto web" {
		t.Errorf("-g web lowers to %q", got)
	}
	in.Rule.Target = nil
	if got := in.Action().Op; got != pred.Continue {
		t.Errorf("no target lowers to %q", got)
	}
}
