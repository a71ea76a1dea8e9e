package conformance

import (
	"strings"

	"github.com/bpftables/bpftables/conformance/lab"
)

// Shrink makes a failing case smaller: fewer packets, then fewer rules, then fewer
// routes, as long as a difference of the same kind remains. Every try builds the
// labs anew; tries bounds them.
func Shrink(c *Case, ours lab.Applier, tries int) *Case {
	s := &shrinker{ours: ours, tries: tries + 1, best: c}
	if !s.try(*c) {
		return c
	}
	if s.kind == "load" || s.kind == "text" {
		s.without(func(c *Case) { c.Packets, c.Routes, c.Listen = nil, nil, nil })
	}
	s.packets()
	s.rules()
	s.packets()
	s.routes()
	return s.best
}

type shrinker struct {
	ours  lab.Applier
	tries int
	best  *Case
	kind  string // of the first difference
}

// without keeps the case without something, if it still fails.
func (s *shrinker) without(drop func(*Case)) {
	c := *s.best
	drop(&c)
	s.try(c)
}

// try keeps a smaller case if it still fails.
func (s *shrinker) try(c Case) bool {
	if s.tries <= 0 {
		return false
	}
	s.tries--
	out, err := runCase(&c, lab.Legacy{}, s.ours)
	if err != nil || len(out.diffs) == 0 || s.kind != "" && out.diffs[0].Kind != s.kind {
		return false
	}
	s.best, s.kind = &c, out.diffs[0].Kind
	return true
}

// cut removes pieces of a list of n elements, halves first, single ones last;
// without(from, to) tries the case without them.
func (s *shrinker) cut(n int, without func(from, to int) bool) {
	for size := (n + 1) / 2; size >= 1; size /= 2 {
		for from := 0; from < n && s.tries > 0; {
			to := min(from+size, n)
			if without(from, to) {
				n -= to - from
			} else {
				from = to
			}
		}
	}
}

func (s *shrinker) packets() {
	s.cut(len(s.best.Packets), func(from, to int) bool {
		c := *s.best
		c.Packets = without(c.Packets, from, to)
		return s.try(c)
	})
}

func (s *shrinker) routes() {
	s.cut(len(s.best.Routes), func(from, to int) bool {
		c := *s.best
		c.Routes = without(c.Routes, from, to)
		return s.try(c)
	})
	s.cut(len(s.best.Listen), func(from, to int) bool {
		c := *s.best
		c.Listen = without(c.Listen, from, to)
		return s.try(c)
	})
}

// rules removes lines of the text that add rules.
func (s *shrinker) rules() {
	count := func() (at []int, lines []string) {
		lines = strings.Split(string(s.best.Text), "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, "-A") || strings.HasPrefix(line, "[") || strings.HasPrefix(line, "#") {
				at = append(at, i)
			}
		}
		return at, lines
	}
	at, _ := count()
	s.cut(len(at), func(from, to int) bool {
		at, lines := count()
		drop := map[int]bool{}
		for _, i := range at[from:min(to, len(at))] {
			drop[i] = true
		}
		var keep []string
		for i, line := range lines {
			if !drop[i] {
				keep = append(keep, line)
			}
		}
		c := *s.best
		c.Text = []byte(strings.Join(keep, "\n"))
		return s.try(c)
	})
}

func without[T any](list []T, from, to int) []T {
	return append(append([]T(nil), list[:from]...), list[to:]...)
}
