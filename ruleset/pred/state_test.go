package pred_test

import (
	"fmt"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// clock gives packets that share one memory, at a time in ticks.
type clock struct {
	t     *testing.T
	state map[any]any
}

func (c *clock) at(jiffies uint64, text string) *packet.Facts {
	f := facts(c.t, packet.IPv4, text)
	f.World.State, f.World.Jiffies = c.state, jiffies
	return f
}

// TestLimit: a bucket of 3 that gets one back each second. With 1000 ticks a
// second a tick gives 32 credits, so a packet costs 32,000.
func TestLimit(t *testing.T) {
	c := clock{t, map[any]any{}}
	l := pred.Limit{Cost: 32000, Cap: 96000, Key: "k"}
	for i, s := range []struct {
		at   uint64
		want pred.Answer
	}{{0, 1}, {0, 1}, {0, 1}, {0, 0}, {999, 0}, {1000, 1}, {1000, 0}, {1999, 0}, {2000, 1}, {9000, 1}, {9000, 1}, {9000, 1}, {9000, 0}} {
		if got := pred.Eval(l, c.at(s.at, "udp")); got != s.want {
			t.Errorf("packet %d at %d: %v, want %v", i, s.at, got, s.want)
		}
	}
}

func TestCreditsPerTick(t *testing.T) {
	for hz, want := range map[uint64]uint32{100: 256, 250: 128, 300: 128, 1000: 32} {
		if got := pred.CreditsPerTick(hz); got != want {
			t.Errorf("HZ %d: %d, want %d", hz, got, want)
		}
	}
}

func TestNth(t *testing.T) {
	c := clock{t, map[any]any{}}
	got := ""
	for range 7 {
		got += fmt.Sprint(uint8(pred.Eval(pred.Nth{Every: 3, Start: 1, Key: "k"}, c.at(0, "udp"))))
	}
	if got != "0100100" {
		t.Errorf("%s, want 0100100", got)
	}
}

func mask32() (m [16]byte) {
	copy(m[:], "\xff\xff\xff\xff")
	return m
}

func TestRecent(t *testing.T) {
	c := clock{t, map[any]any{}}
	set := pred.Recent{List: "l", Op: pred.RecentSet, Mask: mask32()}
	check := pred.Recent{List: "l", Op: pred.RecentCheck, Mask: mask32(), Seconds: 10, Hits: 2}
	update, remove := check, set
	update.Op, remove.Op = pred.RecentUpdate, pred.RecentRemove
	const a, b = "udp 192.0.2.1:1 > 198.51.100.1:2", "udp 192.0.2.2:1 > 198.51.100.1:2"
	for i, s := range []struct {
		p    pred.Recent
		at   uint64
		text string
		want pred.Answer
	}{
		{check, 20000, a, pred.No},
		{set, 20000, a, pred.Yes},
		{check, 20000, a, pred.No}, // one hit
		{set, 25000, a, pred.Yes},
		{check, 30000, a, pred.Yes}, // two within 10 s
		{check, 30001, a, pred.No},
		{check, 30000, b, pred.No},
		{update, 30000, a, pred.Yes}, // adds a third
		{check, 35000, a, pred.Yes},
		{check, 35001, a, pred.No},
		{remove, 35001, a, pred.Yes},
		{remove, 35001, a, pred.No},
	} {
		if got := pred.Eval(s.p, c.at(s.at, s.text)); got != s.want {
			t.Errorf("step %d: %s: %v, want %v", i, s.p, got, s.want)
		}
	}
}

// TestRecentFull: the list forgets the address that was not touched for longest.
func TestRecentFull(t *testing.T) {
	c := clock{t, map[any]any{}}
	set := pred.Recent{List: "l", Op: pred.RecentSet, Mask: mask32()}
	check := pred.Recent{List: "l", Op: pred.RecentCheck, Mask: mask32()}
	from := func(i int) *packet.Facts { return c.at(5, fmt.Sprintf("udp 192.0.2.%d:1 > 198.51.100.1:2", i)) }
	for i := range 100 {
		pred.Eval(set, from(i))
	}
	pred.Eval(set, from(0)) // touched: 1 is the oldest now
	pred.Eval(set, from(200))
	for i, want := range map[int]pred.Answer{0: pred.Yes, 1: pred.No, 2: pred.Yes, 200: pred.Yes} {
		if got := pred.Eval(check, from(i)); got != want {
			t.Errorf("192.0.2.%d: %v, want %v", i, got, want)
		}
	}
}
