// Command timing tells how long scenarios of callers take with one set of programs and another, turn by
// turn: go run ./conformance/callers/timing -turns 3 -programs legacy,ours ufw docker kube:500
//
// `make build` and scripts/callers come first, and it runs at the top of the tree, as root.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bpftables/bpftables/conformance/callers"
)

func main() {
	turns := flag.Int("turns", 3, "how often; medians are printed")
	sets := flag.String("programs", "legacy,nft,ours,served", "sets of programs; the others are compared with the first")
	bin := flag.String("bin", "bin", "directory of our programs")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "timing [flags] SCENARIO[:SIZE] ...; there are %s\n", strings.Join(callers.Names(), ", "))
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(flag.Args(), strings.Split(*sets, ","), *turns, *bin); err != nil {
		fmt.Fprintln(os.Stderr, "timing:", err)
		os.Exit(1)
	}
}

func run(scenarios, sets []string, turns int, bin string) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	for _, scenario := range scenarios {
		t := table{took: map[string]map[string][]time.Duration{}}
		for range turns {
			for _, set := range sets {
				steps, err := callers.Time(callers.Setup{Programs: callers.Programs(set), Bin: bin}, scenario)
				if err != nil {
					return err
				}
				t.add(set, steps)
			}
		}
		t.print(scenario, sets)
	}
	return nil
}

// table is what the steps of a scenario took.
type table struct {
	names []string
	took  map[string]map[string][]time.Duration // by step and set
}

const whole = "whole"

func (t *table) add(set string, steps []callers.Step) {
	sum := callers.Step{Name: whole}
	for _, s := range steps {
		sum.Took += s.Took
	}
	for _, s := range append(steps, sum) {
		if t.took[s.Name] == nil {
			t.names = append(t.names, s.Name)
			t.took[s.Name] = map[string][]time.Duration{}
		}
		t.took[s.Name][set] = append(t.took[s.Name][set], s.Took)
	}
}

func (t *table) print(scenario string, sets []string) {
	fmt.Printf("%-20s", scenario)
	for _, set := range sets {
		fmt.Printf(" %19s", set)
	}
	fmt.Println()
	for _, name := range t.names {
		fmt.Printf("  %-18s", name)
		first := median(t.took[name][sets[0]])
		for _, set := range sets {
			m := median(t.took[name][set])
			fmt.Printf(" %9.1f ms %5.2fx", m.Seconds()*1000, m.Seconds()/first.Seconds())
		}
		fmt.Println()
	}
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
