package conformance

import (
	"bytes"
	"sort"
	"testing"

	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/translate"
)

// leastInBPF is the share of the loadable files of the corpus whose tables must all run in
// BPF, in percent.
const leastInBPF = 99

// TestCoverage measures how much of the corpus runs in BPF, and why the rest does
// not.
func TestCoverage(t *testing.T) {
	needRoot(t)
	files := MustCorpus(t, root)
	l, err := lab.New(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	loadable, inBPF, reasons, tables := 0, 0, map[string]int{}, map[string]int{}
	for _, f := range files {
		if (lab.Legacy{}).Apply(l.Host(), f.Family, f.Text) != nil {
			continue
		}
		loadable++
		why, err := leftToNetfilter(f)
		switch {
		case err != nil:
			t.Errorf("%s: %v", f.Name, err)
		case why == nil:
			inBPF++
		}
		for table, things := range why {
			tables[table]++
			for thing := range things {
				reasons[thing]++
			}
		}
	}
	share := 100 * float64(inBPF) / float64(max(loadable, 1))
	t.Logf("coverage: all tables in BPF: %d of %d loadable files, %.1f %%; wanted %d %%", inBPF, loadable, share, leastInBPF)
	t.Logf("coverage: files with a table left to netfilter, by table: %v", tables)
	var things []string
	for thing := range reasons {
		things = append(things, thing)
	}
	sort.Slice(things, func(i, k int) bool { return reasons[things[i]] > reasons[things[k]] })
	for _, thing := range things {
		t.Logf("coverage: %d files have a table left to netfilter for %s", reasons[thing], thing)
	}
	if share < leastInBPF {
		t.Errorf("%.1f %% of the loadable files run in BPF, wanted %d %%", share, leastInBPF)
	}
}

// leftToNetfilter gives the words for which tables are left to netfilter, by table; nil when
// none is.
func leftToNetfilter(f CorpusFile) (map[string]map[string]bool, error) {
	rs, _, err := iptables.Read(bytes.NewReader(f.Text), iptables.Options{
		File: f.Name, Family: f.Family, Resolver: iptables.NewResolver(),
	})
	if err != nil {
		return nil, err
	}
	var why map[string]map[string]bool
	for _, table := range translate.Translate(rs, translate.Options{Can: shim.Can}).Plan.Tables {
		if table.InBPF {
			continue
		}
		if why == nil {
			why = map[string]map[string]bool{}
		}
		why[table.Name] = map[string]bool{}
		for _, n := range table.Reasons {
			why[table.Name][n.Thing] = true
		}
	}
	return why, nil
}
