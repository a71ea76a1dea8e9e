package conformance

import (
	"fmt"
	"math/rand"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// filters are the filter tables of the corpus by family, without the rules that ask for the
// time: lines, those of chains first.
var filters = sync.OnceValue(func() map[packet.Family][][]string {
	out := map[packet.Family][][]string{}
	files, err := Corpus(root)
	if err != nil {
		return out // there is none
	}
	for _, f := range files {
		_, table, ok := strings.Cut(string(f.Text), "*filter")
		if !ok {
			continue
		}
		table, _, _ = strings.Cut(table, "COMMIT")
		var chains, rules []string
		for _, line := range strings.Split(table, "\n") {
			switch {
			case strings.HasPrefix(line, ":"):
				chains = append(chains, line)
			case strings.HasPrefix(line, "-A ") && !strings.Contains(line, "-m time"):
				rules = append(rules, line)
			}
		}
		if lines := append(chains, rules...); len(rules) > 0 && readable(f.Family, lines) {
			out[f.Family] = append(out[f.Family], lines)
		}
	}
	return out
})

func tableText(lines []string) string { return "*filter\n" + strings.Join(lines, "\n") + "\nCOMMIT\n" }

func readable(family packet.Family, lines []string) bool {
	_, _, err := iptables.Read(strings.NewReader(tableText(lines)), iptables.Options{Family: family, Resolver: iptables.NewResolver()})
	return err == nil
}

var digits = regexp.MustCompile(`[0-9]+`)

// corpusChains is a filter table of the corpus that has become longer: its rules are there again
// in other places, with other numbers, and some are gone. "": there is no corpus.
func corpusChains(r *rand.Rand, family packet.Family) string {
	all := filters()[family]
	if len(all) == 0 {
		return ""
	}
	lines := slices.Clone(all[r.Intn(len(all))])
	first := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "-A ") })
	for range 20 + r.Intn(100) {
		at := first + r.Intn(len(lines)-first)
		if r.Intn(8) == 0 && len(lines)-first > 1 {
			lines = slices.Delete(lines, at, at+1)
			continue
		}
		line := lines[at]
		for range r.Intn(3) {
			if places := digits.FindAllStringIndex(line, -1); len(places) > 0 {
				p := places[r.Intn(len(places))]
				line = line[:p[0]] + fmt.Sprint(r.Intn([]int{33, 256, 65536}[r.Intn(3)])) + line[p[1]:]
			}
		}
		if readable(family, append(slices.Clone(lines[:first]), line)) {
			lines = slices.Insert(lines, first+r.Intn(len(lines)-first+1), line)
		}
	}
	return tableText(lines)
}
