package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// limitKind is -m limit (net/netfilter/xt_limit.c).
var limitKind = &ruleset.MatchKind{
	Name:     "limit",
	Families: ruleset.Both,
	Doc:      "yes for so many packets in a time, on average",
	Options: []ruleset.Option{
		{Name: "limit", NArgs: 1, Help: "the average rate, packets/second (or /minute, /hour, /day); 3/hour if not given"},
		{Name: "limit-burst", NArgs: 1, Help: "packets that may come at once, 5 if not given"},
	},
	New: func() ruleset.MatchBuilder {
		return &limit{avg: limitScale * 3600 / 3, burst: limitBurst}
	},
}

const (
	limitScale = 10000 // XT_LIMIT_SCALE
	limitBurst = 5     // XT_LIMIT_BURST of libxt_limit.c
)

// limit is -m limit. avg is the time between two packets, in 1/limitScale seconds.
type limit struct {
	given
	avg, burst uint32
}

// Set takes one option.
func (m *limit) Set(_ *ruleset.Env, option string, _ bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	if option == "limit-burst" {
		v, err := number(option, args[0], 0, 10000)
		m.burst = uint32(v)
		return err
	}
	seconds, ok := rateUnit(args[0])
	packets := uint32(atoi(args[0]))
	if !ok || packets == 0 {
		return badRate(option, args[0])
	}
	if m.avg = limitScale * seconds / packets; m.avg == 0 {
		return ruleset.InWords(fmt.Errorf("--%s: %q is too fast; at most %d/second is possible", option, args[0], limitScale), "Rate too fast \"%s\"", args[0])
	}
	return nil
}

func badRate(option, arg string) error {
	return ruleset.InWords(fmt.Errorf("--%s: %q is not a rate; write it as 5/second, 10/minute, 3/hour or 1/day", option, arg), "bad rate \"%s\"'", arg)
}

// rateUnit gives the seconds of the unit of "number/unit"; the unit may be cut short.
func rateUnit(rate string) (seconds uint32, ok bool) {
	_, unit, has := strings.Cut(rate, "/")
	if !has {
		return 1, true
	}
	i := nameIn([]string{"second", "minute", "hour", "day"}, unit)
	if i < 0 {
		return 0, false
	}
	return [...]uint32{1, 60, 3600, 86400}[i], true
}

// Done is called after the last option; none is required.
func (m *limit) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *limit) Match() ruleset.Match { return m }

// Word is "limit".
func (m *limit) Word() string { return "limit" }

// Args prints as limit_save() of libxt_limit.c.
func (m *limit) Args() []string {
	rate, _ := rateText(uint64(m.avg), limitScale)
	args := []string{"-m", "limit", "--limit", rate}
	if m.burst != limitBurst {
		args = append(args, "--limit-burst", fmt.Sprint(m.burst))
	}
	return args
}

// ExactArgs has a rate that reads to the very same time between packets: what is printed
// may be rounded.
func (m *limit) ExactArgs() []string {
	args := m.Args()
	again := limit{burst: m.burst}
	if again.Set(nil, "limit", false, args[3:4]) == nil && again.avg == m.avg {
		return nil
	}
	args[3] = exactRate(uint64(m.avg), limitScale)
	return args
}

// exactRate is a rate that reads to the very same time between packets, which another
// rate was read to. period is in 1/scale seconds.
func exactRate(period, scale uint64) string {
	for _, u := range []struct {
		name    string
		seconds uint64
	}{{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}} {
		n := scale * u.seconds / period
		if n != 0 && scale*u.seconds/n == period {
			return fmt.Sprintf("%d/%s", n, u.name)
		}
	}
	text, _ := rateText(period, scale)
	return text
}

// rateText prints the time between two packets as a rate, in the largest unit that
// loses little, as print_rate() of libxt_limit.c and libxt_hashlimit.c; seconds is
// the length of that unit. period is in 1/scale seconds.
func rateText(period, scale uint64) (text string, seconds uint32) {
	units := []struct {
		name    string
		seconds uint64
	}{{"day", 86400}, {"hour", 3600}, {"min", 60}, {"sec", 1}}
	if period == 0 {
		return "inf", 0
	}
	i := 1
	for i < len(units) {
		mult := scale * units[i].seconds
		if period > mult || mult/period < mult%period {
			break
		}
		i++
	}
	u := units[i-1]
	return fmt.Sprintf("%d/%s", scale*u.seconds/period, u.name), uint32(u.seconds)
}

// Check is limit_mt_check(): what overflows 32 bits is refused. The credits are
// those of a kernel with 250 or 1000 ticks per second, which has the same.
func (m *limit) Check(*ruleset.Place) error {
	if _, _, ok := pred.LimitCredits(m.avg, m.burst, 1000); !ok {
		rate, _ := rateText(uint64(m.avg), limitScale)
		return ruleset.InWords(fmt.Errorf("a burst of %d at %s is more than the kernel can count; give a lower burst, at least 1", m.burst, rate), "%s", ruleset.OutOfRange)
	}
	return nil
}

// limitState is struct xt_limit_priv.
type limitState struct {
	at     uint64 // ticks
	credit uint32
}

// Eval is limit_mt(): each tick adds credit up to a bound, each yes costs some.
func (m *limit) Eval(f *packet.Facts) pred.Answer {
	w := f.World
	cost, most, _ := pred.LimitCredits(m.avg, m.burst, w.Ticks())
	s := remembered(w, m, func() *limitState { return &limitState{w.Jiffies, most} })
	s.credit = min(s.credit+uint32(w.Jiffies-s.at)*pred.CreditsPerTick(w.Ticks()), most)
	s.at = w.Jiffies
	if s.credit < cost {
		return pred.No
	}
	s.credit -= cost
	return pred.Yes
}

// remembered gives the state that a world keeps under a key, made when it is not
// there yet.
func remembered[T any](w *packet.World, key any, made func() *T) *T {
	if s, ok := w.State[key].(*T); ok {
		return s
	}
	if w.State == nil {
		w.State = map[any]any{}
	}
	s := made()
	w.State[key] = s
	return s
}

// stateKey is the identity of a match's state for its predicate, apart from that
// for Eval.
type stateKey struct{ of any }

// Lower gives the same in predicates.
func (m *limit) Lower(*ruleset.Place) pred.Pred {
	cost, most, _ := pred.LimitCredits(m.avg, m.burst, 1000)
	return pred.Limit{Avg: m.avg, Burst: m.burst, Cost: cost, Cap: most, Key: stateKey{m}}
}
