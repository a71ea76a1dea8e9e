package main

import (
	"slices"
	"time"
)

// size says how much to measure.
type size struct {
	rules           []int // packets
	mixed           []int // mixed
	rules6          []int // mixed with IPv6
	accepted        []int // accepted packets
	forward         []int // forwarded packets
	wire            []int // dropped on the wire
	loads           []int // restores
	mixedLoads      []int // restores of mixed rulesets
	updates         int   // rules in place when one changes
	growth          []int // growth
	connections     []int // services
	justChanged     []int // packets through rules that single commands have made
	callerRules     int   // the largest table that single commands are given on
	callerScenarios int   // how many scenarios
	services        []int // of kube-proxy
	callerTurns     int
	listed          int           // blocked sources of an attack
	rates           []int         // packets per second of an attack
	attack          time.Duration // how long each attack lasts
	spread          int           // different packets, where they are spread over the rules
	rounds          int           // rounds without a firewall that gets faster by 1 %, to be done
	reloads         int           // packets: how often rules are loaded
	medians         int           // how many runs there are where their median counts
	turn            time.Duration // how long one firewall is fed at a time, roughly
	row             time.Duration // when to be done at the latest, once every firewall had some turns
	limit           time.Duration // for one command
	repeat          time.Duration // commands are repeated for about so long
}

var (
	full = size{
		rules: []int{10, 100, 1000, 10000, 100000}, mixed: []int{1, 10, 100, 1000, 10000, 100000}, rules6: []int{10, 1000, 10000, 100000}, accepted: []int{1, 10, 18, 100}, forward: []int{15, 1000},
		wire: []int{1, 10, 10000}, loads: []int{20, 1000, 10000, 40000, 160000}, mixedLoads: []int{10000, 100000}, updates: 160000,
		growth: []int{10, 100, 1000, 10000, 100000, 1000000}, connections: []int{10, 10000}, justChanged: []int{1, 10, 20}, callerRules: 40000, callerScenarios: 100, services: []int{5000, 20000}, callerTurns: 5,
		listed: 10000, rates: []int{0, 100000, 300000, 1000000}, attack: 3 * time.Second,
		spread: 65536, rounds: 10, reloads: 3, medians: 7, turn: 20 * time.Millisecond, row: 6 * time.Second, limit: time.Minute, repeat: 4 * time.Second,
	}
	small = size{
		rules: []int{10, 40}, mixed: []int{1, 10, 40}, rules6: []int{10}, accepted: []int{1, 18}, forward: []int{15}, wire: []int{1, 40}, loads: []int{40}, mixedLoads: []int{40}, updates: 40,
		growth: []int{10, 40}, connections: []int{5}, justChanged: []int{3}, callerRules: 0, callerScenarios: 0, services: []int{5}, callerTurns: 1, listed: 40, rates: []int{0, 2000}, attack: 50 * time.Millisecond,
		spread: 256, rounds: 1, reloads: 1, medians: 1, turn: time.Millisecond, row: time.Millisecond, limit: 10 * time.Second, repeat: 1,
	}
)

// limitTo leaves out what has more rules.
func (s *size) limitTo(most int) {
	for _, list := range []*[]int{&s.rules, &s.mixed, &s.rules6, &s.accepted, &s.forward, &s.wire, &s.loads, &s.mixedLoads, &s.growth} {
		*list = slices.DeleteFunc(slices.Clone(*list), func(n int) bool { return n > most })
	}
	s.updates, s.listed = min(s.updates, most), min(s.listed, most)
}

// part is one section of the page.
type part struct {
	name, title string
	about       string // may have several paragraphs
	measure     func(b *bench, r *result) error
	firewalls   []string // columns
	what        string   // heading of the first column
	show        func(c cell) string
	ratios      []ratio
	plots       []plotted
	targets     []target
}

// ratio is a column that compares two cells of a row.
type ratio struct {
	heading   string
	of, to    string // firewalls
	lessFloor string // a firewall whose time is taken from both
}

// value is the ratio in a row, the median of those of its runs; 0 where something was not
// measured.
func (c ratio) value(row *row) float64 {
	of, to, floor := row.Cells[c.of], row.Cells[c.to], row.Cells[c.lessFloor]
	runs := len(of.Runs)
	if runs == 0 || len(to.Runs) != runs || c.lessFloor != "" && len(floor.Runs) != runs {
		return c.less(of.Time, to.Time, floor.Time)
	}
	var all []float64
	for i := range runs {
		less := time.Duration(0)
		if c.lessFloor != "" {
			less = floor.Runs[i]
		}
		all = append(all, c.less(of.Runs[i], to.Runs[i], less))
	}
	return median(all)
}

// less compares two times, a floor taken from both.
func (c ratio) less(of, to, floor time.Duration) float64 {
	if of <= floor || to <= floor {
		return 0
	}
	return float64(of-floor) / float64(to-floor)
}

// parts are all parts, in the order of the page.
var parts = []*part{packetsPart, mixedPart, acceptedPart, forwardPart, wirePart, ddosPart, loadsPart, mixedLoadsPart, updatesPart, growthPart, callersPart, justChangedPart, connectionsPart}

func partNamed(name string) *part {
	for _, p := range parts {
		if p.name == name {
			return p
		}
	}
	return nil
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// smallest is the N that costs are compared with.
const smallest = 10

// overTen compares bpftables with itself at the smallest N.
var overTen = ratio{heading: "bpftables / at N = 10", of: ours, to: oursTen}

// versus compares bpftables, or a form of it, with another firewall.
func versus(of, to string) ratio {
	return ratio{heading: of + " / " + to, of: of, to: to}
}
