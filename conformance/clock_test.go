package conformance

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// clocked is a lab with rules that ask the clock.
type clocked struct {
	*lab.Lab
	a      lab.Applier
	packet *lab.Packet
}

func newClocked(t *testing.T, a lab.Applier, rules string) *clocked {
	t.Helper()
	l, err := lab.New(lab.Options{Interfaces: []string{"eth0", "eth1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Cleanup(func() { a.Clear(l.Host()) })
	if err := a.Apply(l.Host(), packet.IPv4, []byte(rules)); err != nil {
		t.Fatal(err)
	}
	p, err := lab.Parse(packet.IPv4, "udp 198.18.0.50:5000 > 198.18.0.1:9 in eth0")
	if err != nil {
		t.Fatal(err)
	}
	return &clocked{l, a, p}
}

func (c *clocked) send(t *testing.T) {
	t.Helper()
	if _, err := c.Send(c.packet); err != nil {
		t.Fatal(err)
	}
}

// counted are the rules that have counted a packet.
func (c *clocked) counted(t *testing.T) (rules []string) {
	t.Helper()
	text, err := c.a.Save(c.Host(), packet.IPv4, true)
	if err != nil {
		t.Fatal(err)
	}
	s := readSaved(string(text))
	for i, line := range s.lines {
		if strings.HasPrefix(line, "-A") && s.counters[i] != "0:0" {
			rules = append(rules, line)
		}
	}
	return rules
}

// drawTime draws a rule some of whose limits are near the time that it is.
func drawTime(r *rand.Rand, now time.Time) string {
	near := func() time.Time {
		return now.Add(time.Duration(r.Intn(7)-3) * []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour, 31 * 24 * time.Hour}[r.Intn(5)])
	}
	var s strings.Builder
	s.WriteString("-A INPUT -m time")
	if r.Intn(3) == 0 {
		s.WriteString(near().Format(" --datestart 2006-01-02T15:04:05"))
	}
	if r.Intn(3) == 0 {
		s.WriteString(near().Format(" --datestop 2006-01-02T15:04:05"))
	}
	start, stop := near(), near()
	if r.Intn(2) == 0 {
		fmt.Fprintf(&s, " --timestart %s --timestop %s", start.Format("15:04:05"), stop.Format("15:04:05"))
		if start.Format("15:04:05") >= stop.Format("15:04:05") && r.Intn(2) == 0 {
			s.WriteString(" --contiguous")
		}
	}
	not := func() string { return []string{"", " !"}[r.Intn(2)] }
	if r.Intn(3) == 0 {
		fmt.Fprintf(&s, "%s --weekdays %s,%s", not(), near().Format("Mon"), near().Format("Mon"))
	}
	if r.Intn(3) == 0 {
		fmt.Fprintf(&s, "%s --monthdays %d,%d", not(), near().Day(), near().Day())
	}
	return s.String() + "\n"
}

// TestClock compares rules that ask for the time with those of netfilter, within one second.
func TestClock(t *testing.T) {
	needRoot(t)
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	var rules strings.Builder
	rules.WriteString("*filter\n:INPUT ACCEPT [0:0]\n")
	r := rand.New(rand.NewSource(*seed))
	for range 300 {
		rules.WriteString(drawTime(r, time.Now().UTC()))
	}
	rules.WriteString("COMMIT\n")
	for range 20 {
		reference, tested := newClocked(t, lab.Legacy{}, rules.String()), newClocked(t, a, rules.String())
		before := time.Now()
		reference.send(t)
		tested.send(t)
		if after := time.Now(); before.Unix() != after.Unix() || before.Nanosecond() < 50e6 {
			continue // netfilter's clock is that of the last tick
		}
		want, got := reference.counted(t), tested.counted(t)
		if w, g := strings.Join(want, "\n"), strings.Join(got, "\n"); w != g {
			t.Errorf("at %s: netfilter has\n%s\nwe have\n%s", before.UTC(), w, g)
		}
		if len(want) == 0 {
			t.Error("no rule has matched")
		}
		return
	}
	t.Error("the packets never met both within one second")
}

// TestSeconds asks which second it is, which a program outside of the kernel knows as well.
func TestSeconds(t *testing.T) {
	needRoot(t)
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	var rules strings.Builder
	rules.WriteString("*filter\n:INPUT ACCEPT [0:0]\n")
	first := time.Now().UTC()
	for i := range 200 {
		second := first.Add(time.Duration(i) * time.Second).Format("2006-01-02T15:04:05")
		fmt.Fprintf(&rules, "-A INPUT -m time --datestart %s --datestop %s\n", second, second)
	}
	rules.WriteString("COMMIT\n")
	c := newClocked(t, a, rules.String())
	before := time.Now()
	c.send(t)
	after := time.Now()
	got := strings.Join(c.counted(t), "\n")
	for at := before.Unix(); at <= after.Unix(); at++ {
		second := time.Unix(at, 0).UTC().Format("2006-01-02T15:04:05")
		if got == fmt.Sprintf("-A INPUT -m time --datestart %s --datestop %s", second, second) {
			return
		}
	}
	t.Errorf("between %s and %s these have matched:\n%s", before.UTC(), after.UTC(), got)
}
