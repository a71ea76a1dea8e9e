package main

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// size says how much to measure.
type size struct {
	rules    []int         // rulesets for packets
	restores []int         // rulesets for restore; the last one only for ours
	rounds   int           // rounds without a variant that gets faster by 1 %, to be done
	most     int           // rounds at most
	run      time.Duration // how long one run takes, roughly
}

var (
	full = size{
		rules: []int{1, 10, 18, 100, 1000, 10000}, restores: []int{1000, 10000, 20000},
		rounds: 12, most: 80, run: 30 * time.Millisecond,
	}
	small = size{rules: []int{1, 10}, restores: []int{10, 100, 200}, rounds: 1, most: 1, run: time.Millisecond}
)

// limit keeps only packets with the numbers of rules in a list; "" changes nothing.
func (s *size) limit(list string) error {
	if list == "" {
		return nil
	}
	s.rules, s.restores = nil, nil
	for _, word := range strings.Split(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return fmt.Errorf("-rules %s: %q is no number of rules", list, word)
		}
		s.rules = append(s.rules, n)
	}
	return nil
}

// results are all measurements of one run of the program.
type results struct {
	packets  []packetRow
	restores []restoreRow
}

// packetRow is the time per packet with one ruleset.
type packetRow struct {
	load
	took [count]time.Duration
}

// restoreRow is the cost of loading one ruleset; zero where it was not measured.
type restoreRow struct {
	n    int
	took [count]cost
}

// measure fills the tables.
func measure(all []*variant, size size, progress io.Writer) (*results, error) {
	var r results
	for _, n := range size.rules {
		for _, conntrack := range []bool{false, true} {
			for _, accept := range []bool{true, false} {
				row := packetRow{load: load{n, accept, conntrack}}
				fmt.Fprintf(progress, "bench: %d rules, %s, conntrack %v\n", n, row.verdict(), conntrack)
				if err := row.measure(all, size); err != nil {
					return nil, err
				}
				r.packets = append(r.packets, row)
			}
		}
	}
	for i, n := range size.restores {
		fmt.Fprintf(progress, "bench: restore of %d rules\n", n)
		row := restoreRow{n: n}
		if err := row.measure(all, size, i == len(size.restores)-1); err != nil {
			return nil, err
		}
		r.restores = append(r.restores, row)
	}
	return &r, nil
}

// measure loads the ruleset everywhere, then lets the variants take turns.
func (row *packetRow) measure(all []*variant, size size) error {
	cpu := runtime.NumCPU() - 1
	var turns [count]turn
	for i, v := range all {
		sock, err := v.fullSocket(row.flow().port)
		if err != nil {
			return err
		}
		defer unix.Close(sock)
		if _, err := v.apply(row.load); err != nil {
			return err
		}
		in, err := newFeeder(v.space, row.flow())
		if err != nil {
			return err
		}
		defer in.close()
		turns[i] = turn{feeder: in, frames: 4 * batch}
		first, err := turns[i].take(cpu)
		if err != nil {
			return err
		}
		turns[i].frames = max(4*batch, int(size.run/first)/batch*batch)
	}
	if err := row.rounds(turns[:], size, cpu); err != nil {
		return err
	}
	return row.confirm(all, turns[:])
}

// turn is how one variant is fed.
type turn struct {
	*feeder
	frames int // each time
	fed    int // altogether
}

func (t *turn) take(cpu int) (perFrame time.Duration, err error) {
	t.fed += t.frames
	return t.feed(t.frames, cpu)
}

// rounds goes on until no variant gets faster.
func (row *packetRow) rounds(turns []turn, size size, cpu int) error {
	for round, last := 0, 0; round-last < size.rounds && round < size.most; round++ {
		for i := range turns {
			d, err := turns[i].take(cpu)
			if err != nil {
				return err
			}
			best := &row.took[i]
			if *best == 0 || d < *best*99/100 {
				last = round
			}
			if *best == 0 || d < *best {
				*best = d
			}
		}
	}
	return nil
}

// confirm sees that the last rule has judged every frame, and takes the rules away.
func (row *packetRow) confirm(all []*variant, turns []turn) error {
	for i, v := range all {
		if v.save != nil {
			got, err := v.matched()
			if err != nil {
				return err
			}
			if got < turns[i].fed { // a run that a signal interrupts is begun again
				return fmt.Errorf("%s, %d rules: the last rule counted %d of %d packets", v.title, row.n, got, turns[i].fed)
			}
		}
		if err := v.empty(); err != nil {
			return err
		}
	}
	return nil
}

// fullSocket binds a socket that accepted frames reach and find full after a few:
// the way ends there, without an answer.
func (v *variant) fullSocket(port uint16) (fd int, err error) {
	err = v.do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)})
	})
	return fd, err
}

// measure loads the ruleset into empty namespaces, the variants in turns.
func (row *restoreRow) measure(all []*variant, size size, onlyOurs bool) error {
	l := load{n: row.n, conntrack: true}
	for range min(size.rounds, 5) {
		for i, v := range all {
			if v.restore == nil || onlyOurs && i != ours {
				continue
			}
			wall, err := v.apply(l)
			if err != nil {
				return err
			}
			if err := v.empty(); err != nil {
				return err
			}
			if best := &row.took[i].wall; *best == 0 || wall < *best {
				*best = wall
			}
		}
	}
	return row.measurePeaks(all, l)
}

// measurePeaks fills in the memory of the variants whose time is there.
func (row *restoreRow) measurePeaks(all []*variant, l load) (err error) {
	for i, v := range all {
		if row.took[i].wall == 0 {
			continue
		}
		if row.took[i].peakKiB, err = v.peak(l); err != nil {
			return err
		}
		if err := v.empty(); err != nil {
			return err
		}
	}
	return nil
}
