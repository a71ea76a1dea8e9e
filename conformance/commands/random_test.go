package commands

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

var families = []packet.Family{packet.IPv4, packet.IPv6}

// howMany commands a test gives.
func howMany() int {
	switch {
	case *commands > 0:
		return *commands
	case *long:
		return 2000
	}
	return 30
}

// TestRandom compares random commands.
func TestRandom(t *testing.T) {
	program := prepare(t)
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			newScript(newDuo(t, family, program, nil), *seed).run(howMany())
		})
	}
}

// script makes up commands.
type script struct {
	*duo
	r     *rand.Rand
	table string
	pool  map[string][]string // rules by chain, of the table
	same  int                 // commands that made no new generation
	turns bool                // with and without a server
}

func newScript(d *duo, seed int64) *script {
	s := &script{duo: d, r: rand.New(rand.NewSource(seed)), table: "filter", pool: map[string][]string{}}
	for range 60 {
		s.learn(gen.Ruleset(s.r, d.family))
	}
	return s
}

// learn takes the rules of the table out of a ruleset.
func (s *script) learn(text string) {
	table := ""
	for _, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "*"); ok {
			table = name
		}
		words := strings.SplitN(line, " ", 3)
		if words[0] == "-A" && table == s.table && len(words) == 3 && !strings.Contains(line, "ipv6header") && !strings.Contains(line, fragWord) {
			s.pool[words[1]] = append(s.pool[words[1]], words[2])
		}
	}
}

// chains are those that the commands are about; the first ones are long.
var chains = []string{"INPUT", "FORWARD", "user0", "OUTPUT", "user1", "user2", "user3", "user4"}

// longChains are so many of them.
const longChains = 3

// begin is the first ruleset.
func (s *script) begin() string {
	var b strings.Builder
	b.WriteString("*" + s.table + "\n")
	for _, c := range chains {
		if strings.HasPrefix(c, "user") {
			b.WriteString(":" + c + " - [0:0]\n")
		}
	}
	alike := s.r.Intn(1 << longChains)
	for i, c := range chains {
		n := 3
		if i < longChains {
			n = 40
		}
		if alike>>i&1 != 0 {
			b.WriteString(s.alike(c, 40))
		}
		for range n {
			b.WriteString("-A " + c + " " + s.spec(c) + "\n")
		}
	}
	return b.String() + "COMMIT\n"
}

// alike are rules of one shape: a chain with many of them is looked up by code, beside others that are code.
func (s *script) alike(chain string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "-A %s -s %s -p udp -m udp --dport %d -j %s\n", chain, s.address(i), 1000+i, []string{"ACCEPT", "DROP"}[i%2])
	}
	return b.String()
}

func (s *script) address(n int) string {
	if s.family == packet.IPv6 {
		return fmt.Sprintf("2001:db8:7::%x/128", n)
	}
	return fmt.Sprintf("192.0.2.%d/32", n)
}

// spec draws a rule of a chain; few that all packets match, and few that log: with many,
// the table is left to netfilter.
func (s *script) spec(chain string) string {
	rules := s.pool[chain]
	for {
		r := rules[s.r.Intn(len(rules))]
		seldom := strings.HasPrefix(r, "-j ") || strings.HasPrefix(r, "-g ") || strings.Contains(r, "LOG")
		if !seldom || s.r.Intn(20) == 0 {
			return r
		}
	}
}

func (s *script) run(n int) {
	s.batch(s.begin())
	s.loose = true // a batch with a jump to no chain ends with 2
	for done := 0; done < n; done++ {
		before := s.generation()
		if s.env = nil; s.turns && s.r.Intn(2) == 0 {
			s.env = alone
		}
		s.command()
		if s.generation() == before {
			s.same++
		}
		if done%4 == 3 {
			s.compare()
			s.single("-t", s.table, "-L", "-v", "-n", "-x", "--line-numbers")
			s.send(s.packets(6, s.r.Int63()))
		}
	}
	s.compare()
	s.Logf("%d commands, %d of them in the generation that was there", n, s.same)
}

// command makes up one command and runs it.
func (s *script) command() {
	if s.r.Intn(4) == 0 {
		s.many()
		return
	}
	s.single(words(s.line())...)
}

// many is a batch.
func (s *script) many() {
	var b strings.Builder
	b.WriteString("*" + s.table + "\n")
	for range s.r.Intn(3) {
		b.WriteString(s.declared() + "\n")
	}
	for range 1 + s.r.Intn(5) {
		b.WriteString(s.line() + "\n")
	}
	s.batch(b.String()+"COMMIT\n", "-n")
}

// declared is a line that makes a chain, or empties one that is there, or sets a policy. It refills what it
// empties, now and then.
func (s *script) declared() string {
	switch s.r.Intn(4) {
	case 0:
		return ":new" + fmt.Sprint(s.r.Intn(3)) + " - [0:0]"
	case 1:
		return ":" + chains[s.r.Intn(2)] + " " + []string{"ACCEPT", "DROP"}[s.r.Intn(2)] + " [0:0]"
	}
	c := "user" + fmt.Sprint(s.r.Intn(5))
	out := ":" + c + " - [0:0]"
	for _, r := range s.rules(c) {
		if s.r.Intn(4) > 0 {
			out += "\n-A " + c + " " + r
		}
	}
	return out
}

// words splits a line as a shell does, as far as the pool's rules go.
func words(line string) (out []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

func (s *script) chain() string {
	if s.r.Intn(5) > 0 {
		return chains[s.r.Intn(longChains)]
	}
	return chains[s.r.Intn(len(chains))]
}

// line is a command as a batch has it.
func (s *script) line() string {
	c := s.chain()
	have := s.rules(c)
	at := 1 + s.r.Intn(len(have)+1)
	switch n := s.r.Intn(100); {
	case n < 20:
		return "-A " + c + " " + s.counted() + s.spec(c)
	case n < 45:
		return fmt.Sprintf("-I %s %d %s%s", c, at, s.counted(), s.spec(c))
	case n < 60:
		return fmt.Sprintf("-D %s %d", c, at)
	case n < 75:
		if len(have) > 0 {
			return "-D " + c + " " + have[s.r.Intn(len(have))]
		}
		return "-D " + c + " " + s.spec(c)
	case n < 88:
		return fmt.Sprintf("-R %s %d %s", c, at, s.spec(c))
	case n < 94:
		return "-P " + chains[s.r.Intn(2)] + " " + []string{"ACCEPT", "DROP"}[s.r.Intn(2)]
	}
	return s.rare(c, at)
}

func (s *script) counted() string {
	if s.r.Intn(10) == 0 {
		return "-c 10 1000 "
	}
	return ""
}

// rare is a command that changes chains, or many rules at once.
func (s *script) rare(c string, at int) string {
	switch s.r.Intn(10) {
	case 0:
		return "-Z " + c
	case 6:
		return "-Z"
	case 7:
		return "-X"
	case 8:
		return fmt.Sprintf("-A %s -s %s -j new%d", c, s.address(s.r.Intn(9)), s.r.Intn(3))
	case 9:
		return fmt.Sprintf("-A new%d %s", s.r.Intn(3), s.spec(c))
	case 1:
		return fmt.Sprintf("-Z %s %d", c, at)
	case 2:
		return "-F " + chains[longChains+s.r.Intn(len(chains)-longChains)]
	case 3:
		return "-N new" + fmt.Sprint(s.r.Intn(3))
	case 4:
		return "-X new" + fmt.Sprint(s.r.Intn(3))
	}
	return fmt.Sprintf("-E new%d new%d", s.r.Intn(3), s.r.Intn(3))
}

// rules are those of a chain, as they are.
func (s *script) rules(chain string) (out []string) {
	text, _ := s.duo.run(&s.ref, "", s.ref.rule[0], "-w", "-t", s.table, "-S", chain)
	for _, line := range strings.Split(text, "\n") {
		if rule, ok := strings.CutPrefix(line, "-A "+chain+" "); ok {
			out = append(out, rule)
		}
	}
	return out
}
