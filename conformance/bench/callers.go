package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bpftables/bpftables/conformance/callers"
)

// What is measured, by the beginnings of rows.
const (
	oneCommand = "command "
	scenario   = "scenario "
	kubeSync   = "kube-proxy, "
)

// callerTable is a table on which single commands are given.
type callerTable struct {
	name  string
	rules int
}

var callerTables = []callerTable{{"empty", 0}, {"small", 4}, {"docker", 35}, {"ufw", 79}, {"firewalld", 165}, {"kube", 40000}}

// callerScenarios are the scenarios that are timed as a whole.
var callerScenarios = []string{"ufw", "firewalld:0", "firewalld:1", "docker", "ferm", "shorewall", "fail2ban", "libvirt", "netavark", "portmap", "tailscale", "wg-quick"}

// callerSets are the sets of programs, by the titles of their columns.
var callerSets = []struct {
	title string
	set   callers.Programs
}{{legacy, callers.Legacy}, {nft, callers.NFT}, {ours, callers.Ours}, {served, callers.Served}}

var callersPart = &part{
	name: "callers", title: "Programs that call iptables",
	about: `Time of commands and of whole programs, with the plain names of iptables on netfilter's programs or on ours, in namespaces of their own
(conformance/callers). "command": one command by itself, from its start to its end and with the shell that starts it, on a table that hosts have:
N is how many rules it has; "kube" is kube-proxy's with 5,000 services. "scenario": a program, or the commands that it gives, from setting up to stopping, without
what is to prepare. "kube-proxy": its restores and its other commands with N services. Medians of turns that alternate between the columns.`,
	firewalls: []string{legacy, nft, ours, served}, what: "what", show: func(c cell) string { return short(c.Time) },
	ratios:  []ratio{versus(ours, legacy), versus(served, legacy), versus(ours, nft)},
	measure: measureCallers,
	plots: []plotted{
		{file: "callers.svg", title: "One restore by kube-proxy", y: "ms", value: cellMillis,
			lines: append(linesOf(kubeSync+"first", legacy, nft, ours), linesOf(kubeSync+"small", legacy, nft, ours)...)},
	},
	targets: []target{
		every{what: oneCommand, ratio: versus(ours, legacy), most: 3},
		every{what: oneCommand, ratio: versus(served, legacy), most: 1},
		everyUnder{what: oneCommand, of: ours, most: 10 * time.Millisecond},
		everyUnder{what: oneCommand + "-S, empty", of: ours, most: 3 * time.Millisecond},
		every{what: oneCommand + "-S, empty", ratio: versus(served, legacy), most: 1.2},
		every{what: scenario, ratio: versus(ours, legacy), most: 1.5},
		every{what: kubeSync + "first", ratio: versus(ours, legacy), most: 1}, every{what: kubeSync + "first", ratio: versus(ours, nft), most: 1},
		every{what: kubeSync + "small", ratio: versus(ours, legacy), most: 1}, every{what: kubeSync + "small", ratio: versus(ours, nft), most: 1},
	},
}

func measureCallers(b *bench, r *result) error {
	host, err := b.callerHost()
	if err != nil {
		return err
	}
	for _, t := range callerTables {
		if t.rules > b.size.callerRules {
			continue
		}
		err := b.caller(r, host, "commands:"+t.name, func(step string) (what string, n, times int) {
			return oneCommand + step + ", " + t.name, t.rules, callers.Repeats
		})
		if err != nil {
			return err
		}
	}
	for _, name := range callerScenarios[:min(b.size.callerScenarios, len(callerScenarios))] {
		if err := b.caller(r, host, name, func(string) (string, int, int) { return scenario + name, 1, 1 }); err != nil {
			return err
		}
	}
	for _, n := range b.size.services {
		err := b.caller(r, host, fmt.Sprintf("kube:%d", n), func(step string) (string, int, int) { return kubeSync + step, n, 1 })
		if err != nil {
			return err
		}
	}
	r.sort()
	return nil
}

// callerHost is what scenarios are played on: scripts/callers has laid it out at the top of the tree,
// where the benchmark runs, or its test below.
func (b *bench) callerHost() (callers.Setup, error) {
	s := callers.Setup{Bin: filepath.Dir(b.program)}
	for _, dir := range []string{"bin/callers", "../../bin/callers"} {
		if _, err := os.Stat(dir + "/root"); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var err error
		s.Callers, err = filepath.Abs(dir)
		return s, err
	}
	return s, errors.New("no packages of callers: scripts/callers unpacks them")
}

// caller measures a scenario turn by turn. row says what the row of a step is, its N, and how many
// commands the step has; steps of one row are added.
func (b *bench) caller(r *result, host callers.Setup, name string, row func(step string) (what string, n, times int)) error {
	b.say("%s", name)
	for range b.size.callerTurns {
		for _, set := range callerSets {
			host.Programs = set.set
			steps, err := callers.Time(host, name)
			if err != nil {
				return err
			}
			sums := map[string]time.Duration{}
			for _, s := range steps {
				what, n, times := row(s.Name)
				if r.row(what, n) == nil {
					r.add(what, n)
				}
				sums[what] += s.Took / time.Duration(times)
			}
			for what, sum := range sums {
				_, n, _ := row("")
				c := r.row(what, n).Cells[set.title]
				c.Runs = append(c.Runs, sum)
				c.Time = median(c.Runs)
				r.row(what, n).Cells[set.title] = c
			}
		}
	}
	return nil
}

// every is a target for all rows that begin with some words.
type every struct {
	what  string
	ratio ratio
	most  float64
}

func (t every) judge(r *result) (text string, met, known bool) {
	text = fmt.Sprintf("%s: %s at most %g in every row", strings.TrimRight(t.what, " ,"), t.ratio.name(), t.most)
	var worst found
	for _, row := range r.beginning(t.what) {
		if v := t.ratio.value(row); v > worst.value {
			worst = found{v, row.What, row.N}
		}
	}
	return text + worst.text(), worst.value <= t.most, worst.value > 0
}

// everyUnder is a target for the times of all rows that begin with some words.
type everyUnder struct {
	what, of string
	most     time.Duration
}

func (t everyUnder) judge(r *result) (text string, met, known bool) {
	text = fmt.Sprintf("%s: %s at most %v in every row", strings.TrimRight(t.what, " ,"), t.of, t.most)
	var worst time.Duration
	where := ""
	for _, row := range r.beginning(t.what) {
		if took := row.Cells[t.of].Time; took > worst {
			worst, where = took, fmt.Sprintf(" (worst: %s, %s, N = %d)", short(took), row.What, row.N)
		}
	}
	return text + where, worst <= t.most, worst > 0
}

// beginning are the rows whose names begin with some words.
func (r *result) beginning(words string) (rows []*row) {
	if r == nil {
		return nil
	}
	for _, row := range r.Rows {
		if strings.HasPrefix(row.What, words) {
			rows = append(rows, row)
		}
	}
	return rows
}
