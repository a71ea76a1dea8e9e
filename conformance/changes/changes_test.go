package changes

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/flood"
	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

var (
	changes = flag.Int("changes", 48, "how many changes, for each size of ruleset and family")
	seed    = flag.Uint64("seed", 1, "seed of rulesets and changes")
	program = flag.String("bpftables", "", "the program; built from this tree by default")
)

// Rulesets are kept at about so many rules: a chain that is code, and one that is not.
var sizes = []int{12, 150}

// every is after how many changes the traffic is compared; flows how many there are.
const (
	every = 24
	flows = 8
)

// prepare builds the program, and keeps the lock of the host out of it.
func prepare(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	if *program == "" {
		file := filepath.Join(t.TempDir(), "bpftables")
		t.Cleanup(func() { *program = "" })
		*program = file
		if out, err := exec.Command("go", "build", "-o", file, "../../cmd/bpftables").CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
	}
	t.Setenv("XTABLES_LOCKFILE", filepath.Join(t.TempDir(), "lock"))
}

func TestChanges(t *testing.T) {
	prepare(t)
	for _, size := range sizes {
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			t.Run(family.String()+" "+map[bool]string{true: "small", false: "large"}[size == sizes[0]], func(t *testing.T) {
				newTest(t, family, size).run()
			})
		}
	}
}

// changer is one test: a host, a model of its rules, traffic.
type changer struct {
	*testing.T
	host    *flood.Host
	family  packet.Family
	model   *model
	traffic *traffic
	size    int
	single  bool     // the program has commands for single rules
	recent  []string // since the last comparison
	firsts  []string // that are to come
}

func newTest(t *testing.T, family packet.Family, size int) *changer {
	h, err := flood.NewHost("changes")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Remove(); err != nil {
			t.Error(err)
		}
	})
	r := rand.New(rand.NewPCG(*seed, uint64(size)))
	c := &changer{T: t, host: h, family: family, size: size, firsts: slices.Clone(firsts)}
	if c.model, err = newModel(family, newFlows(family, flows, r), size, r); err != nil {
		t.Fatal(err)
	}
	if c.traffic, err = newTraffic(h, c.model.flows); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.traffic.in.Close() })
	c.single = exec.Command(*program, "iptables", "--help").Run() == nil
	return c
}

func (c *changer) run() {
	set := shapes.Ruleset{Family: c.family, Rules: c.model.rules}
	c.restore(set.Text(shapes.Frame{Policy: c.model.policy}))
	c.Cleanup(func() { c.command(nil, "flush", "--all") })
	for done := 0; done < *changes && !c.Failed(); done += every {
		c.traffic.start()
		err := error(nil)
		for i := range min(every, *changes-done) {
			if i%3 == 2 {
				c.first()
			}
			if err = c.change(c.model.next(c.size)); err != nil {
				break
			}
		}
		if e := c.traffic.pause(); e != nil {
			c.Fatal(e)
		}
		if err != nil {
			c.Fatalf("%v\n%s", err, strings.Join(c.recent, "\n"))
		}
		c.compare()
		c.recent = nil
	}
	of, err := c.traffic.sent()
	if err != nil {
		c.Fatal(err)
	}
	c.Logf("%d packets of each flow, %d rules at the end", of(0), len(c.model.rules))
}

// firsts are changes that no packet of the flows notices, but what stands at the hooks changes: tables that were not
// there, first targets for netfilter, the first use of conntrack.
var firsts = []string{
	"-A FORWARD -p 253 -j REJECT", "-A FORWARD -m conntrack --ctstate INVALID -j DROP", "-t raw -A PREROUTING -p 253 -j DROP",
	"-t mangle -A PREROUTING -j MARK --set-mark 7", "-t security -N other", "-t nat -A PREROUTING -p 253 -j ACCEPT",
	"-t nat -A POSTROUTING -o none -j MASQUERADE", "-t raw -A PREROUTING -j TRACE", "-t mangle -A FORWARD -j MARK --set-mark 8",
	"-t security -A OUTPUT -p 253 -j DROP", "-A OUTPUT -p 253 -j LOG", "-t nat -N other", "-t mangle -P POSTROUTING ACCEPT",
}

// first makes the next of these changes, of which the order is drawn.
func (c *changer) first() {
	if len(c.firsts) == 0 {
		return
	}
	i := c.model.r.IntN(len(c.firsts))
	args := append([]string{map[packet.Family]string{packet.IPv4: "iptables", packet.IPv6: "ip6tables"}[c.family]}, strings.Fields(c.firsts[i])...)
	c.firsts = slices.Delete(c.firsts, i, i+1)
	c.recent = append(c.recent, strings.Join(args, " "))
	c.command(nil, args...)
}

// compare fails for every packet that got the wrong verdict, and if the rules are not
// those that the changes should have left.
func (c *changer) compare() {
	for _, w := range c.wrong() {
		c.Errorf("%s; changes since the last comparison:\n%s", w, strings.Join(c.recent, "\n"))
	}
	var want strings.Builder
	for i := range c.model.rules {
		want.WriteString("-A INPUT " + c.model.rules[i].Text() + "\n")
	}
	if got := c.saved(); got != want.String() {
		c.Errorf("rules\n%s\nwant\n%s\nafter\n%s", got, want.String(), strings.Join(c.recent, "\n"))
	}
}

// wrong tells of the flows that were not all accepted, or not all dropped.
func (c *changer) wrong() (found []string) {
	of, err := c.traffic.sent()
	if err != nil {
		c.Fatal(err)
	}
	passed, err := c.traffic.passed()
	if err != nil {
		c.Fatal(err)
	}
	for i, f := range c.model.flows {
		want := uint64(0)
		if f.accept {
			want = of(i)
		}
		if passed[i] != want {
			found = append(found, fmt.Sprintf("flow %d, %+v: %d of %d packets passed, want %d", i, f.header, passed[i], of(i), want))
		}
	}
	return found
}

// TestNotices: the test finds wrong verdicts. A flow's rules are moved in single changes
// instead of one batch, so that between them it has the other verdict.
func TestNotices(t *testing.T) {
	prepare(t)
	c := newTest(t, packet.IPv4, sizes[0])
	set := shapes.Ruleset{Family: c.family, Rules: c.model.rules}
	c.restore(set.Text(shapes.Frame{Policy: c.model.policy}))
	t.Cleanup(func() { c.command(nil, "flush", "--all") })
	for range 20 {
		edits := c.passingThroughWrong()
		c.traffic.start()
		for _, e := range edits {
			if err := c.change([]edit{e}); err != nil {
				t.Error(err)
			}
		}
		if err := c.traffic.pause(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() || len(c.wrong()) > 0 {
			return
		}
	}
	t.Error("20 times a flow had the wrong verdict for a while, and no packet met it")
}

// passingThroughWrong is a batch of which a part gives some flow the wrong verdict.
func (c *changer) passingThroughWrong() []edit {
	for {
		before := c.model.rules
		edits := c.model.next(c.size)
		rules := before
		for _, e := range edits {
			if rules = e.apply(rules); !c.model.right(rules) {
				return edits
			}
		}
		c.model.rules = before
	}
}
