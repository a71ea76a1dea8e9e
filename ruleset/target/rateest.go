package target

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var rateestKind = &ruleset.TargetKind{
	Name:     "RATEEST",
	Families: ruleset.Both,
	Doc:      "count the packet in a rate estimator, which -m rateest asks",
	Options: []ruleset.Option{
		{Name: "rateest-name", NArgs: 1, Help: "name of the estimator, at most 15 bytes"},
		{Name: "rateest-interval", NArgs: 1, Help: "time between measurements: 250ms to 8s"},
		{Name: "rateest-ewmalog", NArgs: 1, Help: "time over which the rate is averaged"},
	},
	New: func() ruleset.TargetBuilder { return &RateEst{} },
}

const rateestNameSize = 16

// RateEst is -j RATEEST. Interval and EWMALog are kept as the kernel does: powers
// of two, of a second and of the interval.
type RateEst struct {
	used
	Name                   string
	Interval               int8
	EWMALog                uint8
	intervalUsec, ewmaUsec uint32
}

// Set takes one option.
func (r *RateEst) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := r.once(option, negate); err != nil {
		return err
	}
	var err error
	switch option {
	case "rateest-name":
		r.Name = cut(args[0], rateestNameSize)
	case "rateest-interval":
		r.intervalUsec, err = microseconds("interval", args[0])
	case "rateest-ewmalog":
		r.ewmaUsec, err = microseconds("ewmalog", args[0])
	}
	return err
}

var decimalNumber = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[ \t\n\v\f\r]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?`)
})

// microseconds reads a time; without a unit it is in microseconds
// (RATEEST_get_time() in libxt_RATEEST.c of iptables).
func microseconds(which, s string) (uint32, error) {
	digits := decimalNumber().FindString(s)
	t, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if digits == "" || err != nil {
		return 0, ruleset.InWords(fmt.Errorf("bad time %q; give a number with s, ms or us", s), "RATEEST: bad %s value \"%s\"", which, s)
	}
	switch strings.ToLower(s[len(digits):]) {
	case "s", "sec", "secs":
		t *= 1000000
	case "ms", "msec", "msecs":
		t *= 1000
	case "us", "usec", "usecs", "":
	default:
		return 0, ruleset.InWords(fmt.Errorf("bad unit in time %q; s, ms or us", s), "RATEEST: bad %s value \"%s\"", which, s)
	}
	return uint32(int64(t)), nil
}

// Done asks for all three, and turns both times into powers of two.
func (r *RateEst) Done(*ruleset.Env) error {
	missing := cmp.Or(r.need("rateest-name"), r.need("rateest-interval"), r.need("rateest-ewmalog"))
	err := r.Settle()
	var said *ruleset.Worded
	if missing != nil && errors.As(err, &said) {
		return ruleset.InWords(missing, "%s", said.Tool) // iptables settles what is missing, too
	}
	return cmp.Or(missing, err)
}

// Settle finds Interval and EWMALog for the times that were given, as RATEEST_final() of libxt_RATEEST.c does.
func (r *RateEst) Settle() error {
	i := 0
	for i <= 5 && r.intervalUsec > 250000<<i {
		i++
	}
	if i > 5 {
		return ruleset.InWords(errors.New("the interval is too large; 8s at most"), "RATEEST: interval value is too large")
	}
	r.Interval = int8(i - 2)
	log := 1
	for log < 32 {
		w := 1 - 1/float64(uint32(1)<<log)
		if float64(r.intervalUsec)/-math.Log(w) > float64(r.ewmaUsec) {
			break
		}
		log++
	}
	if log--; log == 0 || log >= 31 {
		return ruleset.InWords(errors.New("the averaging time is out of range; it must be at least 1.5 times the interval"), "RATEEST: ewmalog value is out of range")
	}
	r.EWMALog = uint8(log)
	return nil
}

// Target gives the target that was built.
func (r *RateEst) Target() ruleset.Target { return r }

// Word is the name after -j.
func (r *RateEst) Word() string { return "RATEEST" }

// Args is the text after -j.
func (r *RateEst) Args() []string { return append([]string{"RATEEST"}, r.options("--rateest-")...) }

func (r *RateEst) options(prefix string) []string {
	interval := uint32(1000000) << (r.Interval + 2) / 4
	return []string{
		prefix + "name", r.Name,
		prefix + "interval", timeText(interval),
		prefix + "ewmalog", timeText(interval << r.EWMALog),
	}
}

func timeText(usec uint32) string {
	switch {
	case usec >= 1000000:
		return fmt.Sprintf("%.1fs", float64(usec)/1000000)
	case usec >= 1000:
		return fmt.Sprintf("%.1fms", float64(usec)/1000)
	}
	return decimal(usec) + "us"
}

// ExactArgs has the times as they were read: what is printed can give another power of
// two when it is read again.
func (r *RateEst) ExactArgs() []string {
	return []string{
		"RATEEST", "--rateest-name", r.Name,
		"--rateest-interval", decimal(r.intervalUsec) + "us", "--rateest-ewmalog", decimal(r.ewmaUsec) + "us",
	}
}

// List is the text of iptables -L.
func (r *RateEst) List(ruleset.Names) string { return strings.Join(r.options(""), " ") }

// Check accepts every place. An estimator that exists with other times is refused
// only when the rule is loaded (xt_rateest_tg_checkentry(),
// net/netfilter/xt_RATEEST.c).
func (r *RateEst) Check(*ruleset.Place) error { return nil }

// Lower gives the estimator.
func (r *RateEst) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.RateEst{Name: r.Name, IntervalUsec: r.intervalUsec, AverageUsec: r.ewmaUsec})
}

func rateestOf(e pred.RateEst) *RateEst {
	return &RateEst{Name: e.Name, intervalUsec: e.IntervalUsec, ewmaUsec: e.AverageUsec}
}
