package conformance

import (
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

var (
	long    = flag.Bool("long", false, "all of the corpus, many random rulesets")
	seed    = flag.Int64("seed", 1, "of packets and random rulesets")
	packets = flag.Int("packets", 0, "packets per ruleset; 0: what fits the run")
	random  = flag.Int("random", 0, "how many random rulesets; 0: what fits the run")
	keep    = flag.Bool("keep", false, "shrink what fails and keep it in regress/")
)

const root = ".."

// ours builds bpftables once; BPFTABLES names another binary.
var ours = sync.OnceValues(func() (lab.Applier, error) {
	if path := os.Getenv("BPFTABLES"); path != "" {
		return lab.Command{Path: path}, nil
	}
	dir, err := os.MkdirTemp("", "bpftables-conformance")
	if err != nil {
		return nil, err
	}
	built = dir
	path := filepath.Join(dir, "bpftables")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/bpftables")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	return lab.Command{Path: path}, nil
})

var built string // directory of the binary that ours made

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// tally is the sum over many rulesets.
type tally struct {
	rulesets, refused, packets, counters, differing, chance int
}

func (n *tally) add(r *Report) {
	n.rulesets++
	n.packets += r.Packets
	n.counters += r.Counters
	n.differing += len(r.Differences)
	if r.Chance {
		n.chance++
	}
}

func (n *tally) String() string {
	return fmt.Sprintf("%d rulesets (%d refused by netfilter), %d packets to each side, %d counters compared: %d differences; %d rulesets depend on chance",
		n.rulesets, n.refused, n.packets, n.counters, n.differing, n.chance)
}

// judge verifies one ruleset and reports what differs.
func judge(t *testing.T, sum *tally, o Options) {
	t.Helper()
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	o.Ours = a
	r, err := Verify(o)
	if errors.Is(err, ErrRefused) {
		sum.refused++
		t.Logf("%s: %v", o.Title, err)
		return
	}
	if err != nil {
		t.Errorf("%s: %v", o.Title, err)
		return
	}
	sum.add(r)
	if r.Chance {
		t.Logf("%s: %s: %s", o.Title, r.Summary(), r.ByChance[0])
	}
	if r.Failed() {
		report(t, o.Title, r, a)
	}
}

func report(t *testing.T, title string, r *Report, a lab.Applier) {
	t.Helper()
	if len(r.Differences) == 0 {
		t.Errorf("%s: %s: too many to be chance", title, r.Summary())
	}
	for i, d := range r.Differences {
		if i == 5 {
			t.Errorf("%s: %d more differences", title, len(r.Differences)-i)
			break
		}
		t.Errorf("%s: %s", title, d)
	}
	if *keep {
		path, err := Keep(filepath.Join(root, "regress"), title, Shrink(r.Case, a, 80))
		t.Logf("kept as %s (%v)", path, err)
	}
}

func TestRegressions(t *testing.T) {
	needRoot(t)
	files, err := filepath.Glob(filepath.Join(root, "regress", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			classify(t, i)
			c, err := ReadCase(path)
			if err != nil {
				t.Fatal(err)
			}
			a, err := ours()
			if err != nil {
				t.Fatal(err)
			}
			r, err := VerifyCase(c, a)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range r.Differences {
				t.Error(d)
			}
		})
	}
}

func TestCorpus(t *testing.T) {
	needRoot(t)
	files := MustCorpus(t, root)
	var sum tally
	for i, f := range files {
		if !*long && i%12 != int(*seed)%12 {
			continue
		}
		classify(t, i/12)
		judge(t, &sum, Options{Title: f.Name, Family: f.Family, Text: f.Text, Packets: number(*packets, 60, 200), Seed: *seed})
	}
	t.Logf("corpus: %s", &sum)
}

func TestRandom(t *testing.T) {
	needRoot(t)
	var sum tally
	for i := range int64(number(*random, 16, 500)) {
		classify(t, int(i/2))
		r := rand.New(rand.NewSource(*seed*1_000_000 + i))
		family := []packet.Family{packet.IPv4, packet.IPv6}[i%2]
		text := gen.Ruleset(r, family)
		judge(t, &sum, Options{Title: fmt.Sprintf("random %d of seed %d", i, *seed), Family: family, Text: []byte(text),
			Packets: number(*packets, 150, 300), Seed: *seed + i})
	}
	t.Logf("random: %s", &sum)
	if sum.refused > sum.rulesets/10 {
		t.Errorf("netfilter refuses %d of %d random rulesets: the generator is broken", sum.refused, sum.refused+sum.rulesets)
	}
}

// classify forces the way in which rules are found: each in turn, unless the caller of
// the tests has chosen one.
func classify(t *testing.T, turn int) {
	t.Helper()
	if !chosen {
		t.Setenv(classifierEnv, translate.ClassifierNames[turn%len(translate.ClassifierNames)])
	}
}

const classifierEnv = "BPFTABLES_CLASSIFIER"

var _, chosen = os.LookupEnv(classifierEnv)

func number(given, short, longer int) int {
	switch {
	case given > 0:
		return given
	case *long:
		return longer
	}
	return short
}
