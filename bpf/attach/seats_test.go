package attach

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestSeats seats chains among those of others. A chain is its priority, with "!" when
// netfilter runs actions for it; busy are the priorities of others.
func TestSeats(t *testing.T) {
	for _, c := range []struct {
		chains  string
		busy    []int32
		leaving []int32 // of busy, links of ours
		want    string
	}{
		{chains: "0", want: "0@-1"},
		{chains: "0! 50", want: "0@-1 guard@1 50@49"},
		{chains: "0", busy: []int32{0}, want: "0@-1"},
		{chains: "0", busy: []int32{-1}, want: "0@0"},
		{chains: "0", busy: []int32{-1, 0}, want: "none for 0"},
		{chains: "-7 3 300", want: "-7@-8 3@2 300@299"},
		{chains: "3 -7 3", want: "-7@-8 3@1 3@2"},
		{chains: "5 5", busy: []int32{3}, want: "5@4 5@5"},
		{chains: "5 5", busy: []int32{3, 5}, want: "none for 5"},
		{chains: "4 5", want: "4@3 5@4"},
		{chains: "0! 1", want: "none for 0"},
		{chains: "0! 2", want: "0@-1 guard@1 2@2"},
		{chains: "0! 3", want: "0@-1 guard@1 3@2"},
		{chains: "-1 0!", want: "-1@-2 0@-1 guard@1"},
		{chains: "0!", busy: []int32{1}, want: "none for 0"},
		{chains: "0! 50", busy: []int32{-1, 1, 49}, leaving: []int32{-1, 1, 49}, want: "0@-2 guard@2 50@48"},
		{chains: "0!", busy: []int32{-1, -2, 1, 2}, leaving: []int32{-1, 1}, want: "none for 0"},
		{chains: "0", busy: []int32{-2, -1}, leaving: []int32{-1}, want: "0@0"},
		{chains: "-2147483648", want: "-2147483648@-2147483648"},
		{chains: "2147483647", want: "2147483647@2147483646"},
	} {
		var guests []*guest
		for i, word := range strings.Fields(c.chains) {
			s := &guest{hook: packet.Input, guard: strings.HasSuffix(word, "!"), program: i}
			if _, err := fmt.Sscan(strings.TrimSuffix(word, "!"), &s.priority); err != nil {
				t.Fatal(err)
			}
			guests = append(guests, s)
		}
		there := map[int32]found{}
		for _, p := range c.busy {
			there[p] = ofOthers
		}
		for _, p := range c.leaving {
			there[p] = leaving
		}
		err := takeSeats(guests, func(_ packet.Hook, p int32) found { return there[p] })
		if got := seated(guests, err); got != c.want {
			t.Errorf("%s among %v: %s, want %s", c.chains, c.busy, got, c.want)
		}
	}
}

// seated is the seats as text, in the order of their seats.
func seated(guests []*guest, err error) string {
	var none *NoSeatError
	if errors.As(err, &none) {
		return fmt.Sprintf("none for %d", none.Priority)
	}
	var words []string
	for p := int64(-1 << 31); len(words) < len(guests) && p < 1<<31; p++ {
		if p == -1<<31+1 {
			p = -1000 // nothing between is asked for
		}
		if p == 1000 {
			p = 1<<31 - 3
		}
		for _, s := range guests {
			if int64(s.at.priority) != p {
				continue
			}
			word := fmt.Sprintf("%d@%d", s.priority, s.at.priority)
			if s.guard {
				word += fmt.Sprintf(" guard@%d", s.behind)
			}
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// TestPins reads the names of pins.
func TestPins(t *testing.T) {
	for _, p := range []seat{{packet.Input, -1, 1}, {packet.Prerouting, 299, 0}, {packet.Postrouting, -1 << 31, 15}} {
		if back, ok := parseSeat(p.pin()); !ok || back != p {
			t.Errorf("%s: read as %v", p.pin(), back)
		}
	}
	for _, name := range []string{"counters", "1-INPUT:-1x", "guard-1-INPUT:-1", "16-INPUT:0", "1-NOWHERE:3", "01-INPUT:0"} {
		if p, ok := parseSeat(name); ok {
			t.Errorf("%s is read as %v", name, p)
		}
	}
}

// TestLevels gives priorities the levels that they have.
func TestLevels(t *testing.T) {
	guests := []*guest{{at: seat{priority: -1}}, {at: seat{priority: 49}}, {at: seat{priority: 7}}}
	linked := []seat{{packet.Input, 49, 3}, {packet.Input, 5, 0}}
	if err := number(guests, linked); err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint32{1, 3, 2} {
		if guests[i].at.level != want {
			t.Errorf("seat %d has level %d, want %d", i, guests[i].at.level, want)
		}
	}
	guests = nil
	for i := range int32(maxLevels + 1) {
		guests = append(guests, &guest{at: seat{priority: i}})
	}
	if number(guests, nil) == nil {
		t.Error("more priorities than levels have levels")
	}
}

// TestStaleGuards passes a guard of ours that has another level than the chain whose seat it is at:
// what was linked with it stands further from the chain.
func TestStaleGuards(t *testing.T) {
	progs := []codegen.Program{{Table: "filter", Hook: packet.Output, Shim: true}}
	entries, guards := []seat{{packet.Output, -2, 0}}, []seat{{packet.Output, 1, 0}}
	known := map[int32]found{}
	look := func(_ packet.Hook, at int32) found { return known[at] }
	out, err := settle(progs, entries, guards, look, func(at seat) { known[at.priority] = leaving })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v %+v", out[0].at, out[0].guardAt()), fmt.Sprintf("%+v %+v", seat{packet.Output, -1, 1}, seat{packet.Output, 2, 1}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
