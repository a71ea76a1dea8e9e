package match

import (
	"fmt"
	"math"

	"github.com/bpftables/bpftables/ruleset/pred"
)

// range32 is a range of 32 bit numbers: the SPIs of esp, ah and ipcomp, the ids of
// frag, the segments of rt.
type range32 struct {
	lo, hi uint32
	negate bool
}

var any32 = range32{hi: math.MaxUint32}

// full says whether the range, not looking at its negation, holds every number.
func (r range32) full() bool { return r.lo == 0 && r.hi == math.MaxUint32 }

func (r range32) has(v uint32) bool { return (r.lo <= v && v <= r.hi) != r.negate }

// set reads "n", "lo:", ":hi" or "lo:hi".
func (r *range32) set(option string, negate bool, arg string) error {
	v, n, err := numberRange(option, arg, math.MaxUint32)
	r.lo, r.hi, r.negate = uint32(v[0]), uint32(v[1]), negate
	if n == 1 {
		r.hi = r.lo
	}
	return err
}

// args is empty for a range that holds every number, negated or not.
func (r range32) args(option string) []string {
	if r.full() {
		return nil
	}
	s := fmt.Sprint(r.lo)
	if r.lo != r.hi {
		s = fmt.Sprintf("%d:%d", r.lo, r.hi)
	}
	return append(bang(r.negate), option, s)
}

// unprinted says whether the range is negated and not printed: it matches nothing.
func (r range32) unprinted() bool { return r.negate && r.full() }

// exact adds a range that is not printed to the words that are; nil: nothing is lost.
func (r range32) exact(args []string, option string) []string {
	if !r.unprinted() {
		return nil
	}
	return append(args, "!", option, r.text())
}

func (r range32) text() string { return fmt.Sprintf("%d:%d", r.lo, r.hi) }

func (r range32) lower(of pred.Value) pred.Pred {
	if r.full() && !r.negate {
		return pred.Const(pred.Yes)
	}
	return pred.Negated(pred.In(of, r.lo, r.hi), r.negate)
}
