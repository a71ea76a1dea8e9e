package attach

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestSeats places chains among those of others. A chain is its priority, with "!" when
// netfilter runs actions for it; busy are the priorities of others.
func TestSeats(t *testing.T) {
	for _, c := range []struct {
		chains string
		busy   []int32
		want   string
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
		{chains: "-2147483648", want: "-2147483648@-2147483648"},
		{chains: "2147483647", want: "2147483647@2147483646"},
	} {
		var seats []*seat
		for i, word := range strings.Fields(c.chains) {
			s := &seat{hook: packet.Input, guard: strings.HasSuffix(word, "!"), program: i}
			if _, err := fmt.Sscan(strings.TrimSuffix(word, "!"), &s.priority); err != nil {
				t.Fatal(err)
			}
			seats = append(seats, s)
		}
		busy := map[int32]bool{}
		for _, p := range c.busy {
			busy[p] = true
		}
		err := takeSeats(seats, func(_ packet.Hook, p int32) bool { return !busy[p] })
		if got := seated(seats, err); got != c.want {
			t.Errorf("%s among %v: %s, want %s", c.chains, c.busy, got, c.want)
		}
	}
}

// seated is the seats as text, in the order of their places.
func seated(seats []*seat, err error) string {
	var none *NoPlaceError
	if errors.As(err, &none) {
		return fmt.Sprintf("none for %d", none.Priority)
	}
	var words []string
	for p := int64(-1 << 31); len(words) < len(seats) && p < 1<<31; p++ {
		if p == -1<<31+1 {
			p = -1000 // nothing between is asked for
		}
		if p == 1000 {
			p = 1<<31 - 3
		}
		for _, s := range seats {
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
	for _, p := range []place{{packet.Input, -1, 1}, {packet.Prerouting, 299, 0}, {packet.Postrouting, -1 << 31, 15}} {
		if back, ok := parsePlace(p.pin()); !ok || back != p {
			t.Errorf("%s: read as %v", p.pin(), back)
		}
	}
	for _, name := range []string{"counters", "1-INPUT:-1x", "guard-1-INPUT:-1", "16-INPUT:0", "1-NOWHERE:3", "01-INPUT:0"} {
		if p, ok := parsePlace(name); ok {
			t.Errorf("%s is read as %v", name, p)
		}
	}
}

// TestLevels gives priorities the levels that they have.
func TestLevels(t *testing.T) {
	seats := []*seat{{at: place{priority: -1}}, {at: place{priority: 49}}, {at: place{priority: 7}}}
	linked := []place{{packet.Input, 49, 3}, {packet.Input, 5, 0}}
	if err := number(seats, linked); err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint32{1, 3, 2} {
		if seats[i].at.level != want {
			t.Errorf("seat %d has level %d, want %d", i, seats[i].at.level, want)
		}
	}
	seats = nil
	for i := range int32(maxLevels + 1) {
		seats = append(seats, &seat{at: place{priority: i}})
	}
	if number(seats, nil) == nil {
		t.Error("more priorities than levels have levels")
	}
}
