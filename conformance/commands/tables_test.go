package commands

import (
	"fmt"
	"math/rand"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/gen"
)

// TestTables compares random commands for all five tables, of a server and of processes
// without it, which take turns.
func TestTables(t *testing.T) {
	program := prepare(t)
	serve(t, program)
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			newTables(newDuo(t, family, program, nil), *seed).run(howMany() / 2)
		})
	}
}

// tables makes up commands for all tables.
type tables struct {
	*duo
	r    *rand.Rand
	pool map[string]map[string][]string // rules by table and chain
}

// tableNames are those that rules are made for.
var tableNames = []string{"raw", "mangle", "nat", "filter", "security"}

func newTables(d *duo, seed int64) *tables {
	s := &tables{duo: d, r: rand.New(rand.NewSource(seed)), pool: map[string]map[string][]string{}}
	for range 60 {
		s.learn(s.ruleset())
	}
	return s
}

var remembers = regexp.MustCompile(`(?m)^-A .* -m (limit|statistic|quota) .*\n`)

// ruleset is a random one without rules that remember packets by themselves: in tables that are left
// to netfilter they begin anew with changes of other tables. TestCases has those.
func (s *tables) ruleset() string {
	return remembers.ReplaceAllString(gen.Everything(s.r, s.family), "")
}

// fragWord begins what iptables itself does not find again with -C and -D.
const fragWord = "-m frag"

// learn takes the rules of a ruleset into the pool.
func (s *tables) learn(text string) {
	table := ""
	for _, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "*"); ok {
			table = name
		}
		w := strings.SplitN(line, " ", 3)
		if w[0] != "-A" || len(w) != 3 || strings.Contains(line, fragWord) {
			continue
		}
		if s.pool[table] == nil {
			s.pool[table] = map[string][]string{}
		}
		s.pool[table][w[1]] = append(s.pool[table][w[1]], w[2])
	}
}

func (s *tables) run(n int) {
	var empty strings.Builder
	for _, t := range tableNames { // a table that was only read is there for iptables alone
		empty.WriteString("*" + t + "\n-N new9\nCOMMIT\n")
	}
	s.batch(empty.String())
	s.loose = true // a text that iptables finds no parse for ends with 2
	for range 3 {  // later ones stand on what is left of the first
		s.batch(s.ruleset())
	}
	for done := range n {
		s.env = nil
		if s.r.Intn(2) == 0 {
			s.env = alone
		}
		s.command()
		if done%3 == 2 {
			s.compare()
			s.single("-t", s.any(tableNames), "-L", "-v", "-n", "-x", "--line-numbers")
			s.talk()
		}
	}
	s.compare()
}

func (s *tables) any(list []string) string { return list[s.r.Intn(len(list))] }

// command makes up one command, a batch, or a whole ruleset, and runs it.
func (s *tables) command() {
	switch s.r.Intn(6) {
	case 0:
		// For one table: of several, iptables keeps those before the first that fails.
		var b strings.Builder
		t := s.any(tableNames)
		b.WriteString("*" + t + "\n")
		for range 1 + s.r.Intn(4) {
			if line := s.line(t); !strings.HasPrefix(line, "-S") { // of a batch that fails it would be printed
				b.WriteString(line + "\n")
			}
		}
		b.WriteString("COMMIT\n")
		s.batch(b.String(), "-n")
	case 1:
		s.batch(s.ruleset())
	default:
		t := s.any(tableNames)
		s.single(append([]string{"-t", t}, words(s.line(t))...)...)
	}
}

// line is a command as a batch has it.
func (s *tables) line(table string) string {
	have := s.chainsOf(table)
	c := s.any(have)
	rules := s.rulesOf(table, c)
	at := 1 + s.r.Intn(len(rules)+1)
	spec := func() string { return s.spec(table, c, have) }
	old := func() string {
		if len(rules) > 0 && s.r.Intn(4) > 0 {
			if r := s.any(rules); !strings.Contains(r, fragWord) {
				return r
			}
		}
		return spec()
	}
	choices := []func() string{
		func() string { return "-A " + c + " " + spec() },
		func() string { return "-A " + c + " " + spec() },
		func() string { return fmt.Sprintf("-I %s %d %s", c, at, spec()) },
		func() string { return fmt.Sprintf("-I %s %d %s", c, at, spec()) },
		func() string { return fmt.Sprintf("-D %s %d", c, at) },
		func() string { return "-D " + c + " " + old() },
		func() string { return fmt.Sprintf("-R %s %d %s", c, at, spec()) },
		func() string { return "-C " + c + " " + old() },
		func() string { return "-P " + c + " " + s.policy(table) },
		func() string { return s.any([]string{"-Z", "-Z " + c, fmt.Sprintf("-Z %s %d", c, at)}) },
		func() string { return "-F " + c },
		func() string { return "-N new" + fmt.Sprint(s.r.Intn(3)) },
		func() string { return s.any([]string{"-X", "-X " + s.any(have), "-X " + s.any(have)}) },
		func() string { return fmt.Sprintf("-E %s new%d", s.any(have), s.r.Intn(3)) },
		func() string { return "-S " + c },
	}
	return choices[s.r.Intn(len(choices))]()
}

var toUser = regexp.MustCompile(`(?:^| )-[jg] (user\d)$`)

// policy draws one; table nat takes ACCEPT alone.
func (s *tables) policy(table string) string {
	if table != "nat" && s.r.Intn(3) == 0 {
		return "DROP"
	}
	return "ACCEPT"
}

// spec draws a rule for a chain: one of that name, or any rule of a user chain. It calls chains
// that there are; for others, iptables has several exit codes.
func (s *tables) spec(table, chain string, have []string) string {
	rules := s.pool[table][chain]
	if len(rules) == 0 {
		rules = s.pool[table]["user0"]
	}
	for {
		rule := s.any(rules)
		if to := toUser.FindStringSubmatch(rule); to == nil || slices.Contains(have, to[1]) {
			return rule
		}
	}
}

// chainsOf are the chains of a table, as they are.
func (s *tables) chainsOf(table string) (out []string) {
	text, _ := s.duo.run(&s.ref, "", s.ref.rule[0], "-w", "-t", table, "-S")
	for _, line := range strings.Split(text, "\n") {
		if w := strings.Fields(line); len(w) > 1 && (w[0] == "-P" || w[0] == "-N") {
			out = append(out, w[1])
		}
	}
	return out
}

// rulesOf are the rules of a chain, as they are.
func (s *tables) rulesOf(table, chain string) (out []string) {
	text, _ := s.duo.run(&s.ref, "", s.ref.rule[0], "-w", "-t", table, "-S", chain)
	for _, line := range strings.Split(text, "\n") {
		if rule, ok := strings.CutPrefix(line, "-A "+chain+" "); ok {
			out = append(out, rule)
		}
	}
	return out
}

// talk sends a conversation to both sides. A translation that finds its ports in use draws
// others by chance: all connections are forgotten before, and ports that differ are no difference.
func (s *tables) talk() {
	s.Helper()
	g := gen.New(s.family, s.saved(&s.ref), interfaces, s.r.Int63())
	packets := append(g.Conversation(), g.Draw()...)
	for _, d := range []*side{&s.ref, &s.ours} {
		for _, err := range []error{d.lab.Route(g.Routes()...), d.lab.ForgetConnections()} {
			if err != nil {
				s.Fatal(err)
			}
		}
	}
	for _, p := range packets {
		s.said = append(s.said, "sent: "+p.String())
		want, got := s.sendTo(&s.ref, p), s.sendTo(&s.ours, p)
		if got != want && port.ReplaceAllString(got, ":") != port.ReplaceAllString(want, ":") {
			s.Fatalf("%s\n got\n%s\n want\n%s\nrules\n%s\nafter\n%s", p, got, want, s.saved(&s.ref), s.history())
		}
	}
	s.compare()
}

// port is a port in the text of a packet.
var port = regexp.MustCompile(`:\d+\b`)
