package main

import (
	"fmt"
	"strings"
	"time"
)

// target is something that the project wants to reach.
type target interface {
	// judge says what it is, with the figures, whether it is met, and whether that is known.
	judge(r *result) (text string, met, known bool)
}

// targets prints for each target whether it is met.
func (all results) targets(p *printer) error {
	for _, part := range parts {
		for _, t := range part.targets {
			text, met, known := t.judge(all[part.name])
			p.printf("- %s: %s: %s\n", part.name, text, verdict(met, known))
		}
	}
	return p.err
}

func verdict(met, known bool) string {
	switch {
	case !known:
		return "not measured"
	case met:
		return "met"
	}
	return "**missed**"
}

// growing is a target: the cost of bpftables at most so many times that at N = 10.
type growing struct {
	what       []string
	most       float64
	from, upTo int
}

func (t growing) judge(r *result) (text string, met, known bool) {
	text = fmt.Sprintf("%s, N = %d to %d: at most %g times our cost at N = %d", strings.Join(t.what, ", "), max(t.from, smallest), t.upTo, t.most, smallest)
	var worst found
	missing := worst.search(r, t.what, overTen, func(n int) bool { return n > smallest && n >= t.from && n <= t.upTo })
	return text + worst.text() + missing, worst.value <= t.most && missing == "", worst.value > 0
}

// ahead is a target: faster than another firewall at every N.
type ahead struct {
	what   []string
	of, to string
}

func (t ahead) judge(r *result) (text string, met, known bool) {
	text = fmt.Sprintf("%s: %s faster than %s at every N", strings.Join(t.what, ", "), t.of, t.to)
	var worst found
	missing := worst.search(r, t.what, versus(t.of, t.to), func(int) bool { return true })
	return text + worst.text() + missing, worst.value < 1 && missing == "", worst.value > 0
}

// found is the largest ratio and where it is.
type found struct {
	value float64
	what  string
	n     int
}

// search looks at the rows; missing tells of those that were not measured.
func (f *found) search(r *result, what []string, c ratio, in func(n int) bool) (missing string) {
	if r == nil {
		return ""
	}
	absent := 0
	for _, row := range r.Rows {
		if !contains(what, row.What) || !in(row.N) {
			continue
		}
		v := c.value(row)
		if v == 0 {
			absent++
		}
		if v > f.value {
			*f = found{v, row.What, row.N}
		}
	}
	if absent > 0 {
		return fmt.Sprintf("; not available in %d rows", absent)
	}
	return ""
}

func (f found) text() string {
	if f.value == 0 {
		return ""
	}
	return fmt.Sprintf(" (worst: %.2f, %s, N = %d)", f.value, f.what, f.n)
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// atMost is a target for one ratio.
type atMost struct {
	what  string
	n     int
	ratio ratio
	most  float64
}

func (t atMost) judge(r *result) (text string, met, known bool) {
	v := valueAt(r, t.what, t.n, t.ratio)
	text = fmt.Sprintf("%s, N = %d: %s at most %g", t.what, t.n, t.ratio.name(), t.most)
	return text + figure(v), v <= t.most, v > 0
}

// atLeast is a target for one ratio, the other way around.
type atLeast struct {
	what  string
	n     int
	ratio ratio
	least float64
}

func (t atLeast) judge(r *result) (text string, met, known bool) {
	v := valueAt(r, t.what, t.n, t.ratio)
	text = fmt.Sprintf("%s, N = %d: %s at least %g", t.what, t.n, t.ratio.name(), t.least)
	return text + figure(v), v >= t.least, v > 0
}

func valueAt(r *result, what string, n int, c ratio) float64 {
	if row := r.row(what, n); row != nil {
		return c.value(row)
	}
	return 0
}

func figure(v float64) string {
	if v == 0 {
		return ""
	}
	return " (" + ratioText(v) + ")"
}

// name is what a ratio compares.
func (c ratio) name() string {
	name := c.of + " / " + c.to
	if c.lessFloor != "" {
		name += ", both less " + c.lessFloor + ","
	}
	return name
}

// ratioText has about three digits.
func ratioText(v float64) string {
	if v == 0 {
		return "-"
	}
	switch {
	case v >= 20:
		return fmt.Sprintf("%.0f", v)
	case v < 0.1:
		return fmt.Sprintf("%.4f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// short is a time with three digits.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d >= 10*time.Microsecond:
		return fmt.Sprintf("%.0f µs", float64(d)/1e3)
	}
	return fmt.Sprintf("%d ns", d)
}
