package match

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// statisticKind is -m statistic (net/netfilter/xt_statistic.c).
var statisticKind = &ruleset.MatchKind{
	Name:     "statistic",
	Families: ruleset.Both,
	Doc:      "yes for packets by chance, or for every n-th packet",
	Options: []ruleset.Option{
		{Name: "mode", NArgs: 1, Help: "random or nth"},
		{Name: "probability", NArgs: 1, Negate: true, Help: "random: from 0 to 1"},
		{Name: "every", NArgs: 1, Negate: true, Help: "nth: one packet of so many"},
		{Name: "packet", NArgs: 1, Help: "nth: which one of them, from 0"},
	},
	New: func() ruleset.MatchBuilder { return &statistic{} },
}

// statistic is -m statistic.
type statistic struct {
	given
	nth         bool
	negate      bool
	probability uint32 // of 2^31
	every       uint32
	packet      uint32
}

// Set takes one option.
func (m *statistic) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	m.negate = m.negate || negate
	switch option {
	case "mode":
		m.nth = args[0] == "nth"
		if !m.nth && args[0] != "random" {
			err = ruleset.InWords(fmt.Errorf("--mode: %q is neither random nor nth", args[0]), "Bad mode \"%s\"", args[0])
		}
	case "probability":
		m.probability, err = probability(args[0])
	case "every":
		m.every, err = number32(option, args[0], 1)
	case "packet":
		m.packet, err = number32(option, args[0], 0)
	}
	return err
}

func probability(arg string) (uint32, error) {
	p, err := strconv.ParseFloat(strings.TrimLeft(arg, " \t\n\v\f\r"), 64)
	if err != nil || strings.Contains(arg, "_") || !(p >= 0 && p <= 1) {
		return 0, ruleset.InWordsOf(fmt.Errorf("--probability: %q is not a number from 0 to 1", arg), "bad value for option \"--probability\", or out of range (0-1).\n")
	}
	return uint32(math.Round(p * (1 << 31))), nil
}

// Done is statistic_check() of libxt_statistic.c.
func (m *statistic) Done(*ruleset.Env) error {
	err := cmp.Or(m.notBoth("probability", "every"), m.notBoth("probability", "packet"),
		m.also("every", "packet"), m.also("packet", "every"))
	switch {
	case err != nil:
		return err
	case !m.nth && m.given["probability"]:
		return m.need("mode")
	case !m.nth:
		return ruleset.InWords(m.need("probability"), "--probability must be specified when using random mode")
	case m.packet >= m.every && m.given["every"]:
		return ruleset.InWords(fmt.Errorf("--packet: %d is not one of the %d packets of --every; give 0 to %d", m.packet, m.every, m.every-1), "the --packet p must be 0 <= p <= n-1")
	}
	return ruleset.InWords(m.need("every"), "--every and --packet must be specified when using nth mode")
}

// Match gives the match itself.
func (m *statistic) Match() ruleset.Match { return m }

// Word is "statistic".
func (m *statistic) Word() string { return "statistic" }

// Args prints as statistic_save() of libxt_statistic.c.
func (m *statistic) Args() []string {
	args := []string{"-m", "statistic", "--mode"}
	if m.nth {
		args = append(append(args, "nth"), bang(m.negate)...)
		return append(args, "--every", fmt.Sprint(m.every), "--packet", fmt.Sprint(m.packet))
	}
	args = append(append(args, "random"), bang(m.negate)...)
	return append(args, "--probability", fmt.Sprintf("%.11f", float64(m.probability)/(1<<31)))
}

// Check refuses nothing that can be written.
func (m *statistic) Check(*ruleset.Place) error { return nil }

type statisticState struct{ count uint32 }

// Eval is statistic_mt().
func (m *statistic) Eval(f *packet.Facts) pred.Answer {
	if !m.nth {
		random := uint32(0)
		if f.World.Random != nil {
			random = f.World.Random()
		}
		return answer(random&0x7fffffff < m.probability, m.negate)
	}
	last := m.every - 1
	s := remembered(f.World, m, func() *statisticState { return &statisticState{last - m.packet} })
	if s.count == last {
		s.count = 0
	} else {
		s.count++
	}
	return answer(s.count == 0, m.negate)
}

// Lower gives the same in predicates.
func (m *statistic) Lower(*ruleset.Place) pred.Pred {
	if m.nth {
		return pred.Negated(pred.Nth{Every: m.every, Start: m.packet, Key: stateKey{m}}, m.negate)
	}
	return pred.Negated(pred.Random{Threshold: m.probability}, m.negate)
}
