package commands

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestRefills flushes chains and gives them their rules again, as kube-proxy does: as they were, with some more
// and some less, in another order, doubled, with counters and without, and with what looks at the chain in between.
func TestRefills(t *testing.T) {
	program := prepare(t)
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			s := newScript(newDuo(t, family, program, nil), *seed+100)
			s.batch(s.begin())
			s.send(s.packets(10, s.r.Int63()))
			s.batch("*filter\n-A INPUT -j user0\n-A user1 -m limit --limit 5/min -j ACCEPT\nCOMMIT\n", "-n")
			for range howMany() {
				before := s.generation()
				s.refill()
				if s.generation() == before {
					s.same++
				}
				s.compare()
				s.send(s.packets(4, s.r.Int63()))
				s.compare()
			}
			s.Logf("%d refills, %d of them in the generation that was there", howMany(), s.same)
		})
	}
}

// refill is a batch that fills some chains again.
func (s *script) refill() {
	var b strings.Builder
	b.WriteString("*" + s.table + "\n")
	names := []string{"user0", "user1", "user2"}[:1+s.r.Intn(3)]
	for _, c := range names {
		b.WriteString(":" + c + " - [0:0]\n")
	}
	for _, c := range names {
		for i, r := range s.stirred(c) {
			counters := ""
			if s.r.Intn(3) == 0 {
				counters = fmt.Sprintf("[%d:%d] ", i, 100*i)
			}
			b.WriteString(counters + "-A " + c + " " + r + "\n")
			if s.r.Intn(40) == 0 {
				b.WriteString(s.between(c) + "\n")
			}
		}
	}
	options := []string{"-n"}
	if s.r.Intn(2) == 0 {
		options = append(options, "--counters")
	}
	s.batch(b.String()+"COMMIT\n", options...)
}

// stirred are rules of a chain to be, made of those that it has.
func (s *script) stirred(chain string) []string {
	rules := s.rules(chain)
	for range s.r.Intn(4) {
		at := s.r.Intn(len(rules) + 1)
		switch n := s.r.Intn(8); {
		case n < 3 || len(rules) < 10:
			rules = slices.Insert(rules, at, s.spec(chain))
		case n < 6 && at < len(rules):
			rules = slices.Delete(rules, at, at+1)
		case n == 6 && at < len(rules):
			rules = slices.Insert(rules, s.r.Intn(len(rules)), rules[at])
		case s.r.Intn(4) == 0:
			s.r.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
		}
	}
	return rules
}

// between is a line that looks at what a refill has done up to there.
func (s *script) between(chain string) string {
	switch s.r.Intn(6) {
	case 0:
		return "-Z " + chain
	case 1:
		return "-I " + chain + " 1 " + s.spec(chain)
	case 2:
		return "-D " + chain + " 1"
	case 3:
		return ":" + chain + " - [0:0]"
	case 4:
		return fmt.Sprintf("-N refill%d", s.r.Intn(1000))
	}
	return "-R " + chain + " 1 " + s.spec(chain)
}
