package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/conformance/flood"
)

// turn is how one firewall is fed.
type turn struct {
	*firewall
	*flood.Feeder
	rules   *rules
	traffic *traffic
	frames  int // each time
	best    time.Duration
}

// packets measures one packet of the traffic with the rules, in all firewalls that load
// can load them into; for the others it says why not.
func (b *bench) packets(row *row, all []*firewall, r *rules, t *traffic, load func(*firewall, *rules) (note string)) (err error) {
	b.say("%s, N = %d", row.What, row.N)
	var turns []*turn
	defer func() {
		for _, t := range turns {
			t.Close()
		}
		for _, f := range all {
			if e := f.empty(r.Family); err == nil {
				err = e
			}
		}
	}()
	for _, f := range all {
		mine := &turn{firewall: f, rules: r, traffic: t}
		if f.title == oursTen {
			mine.rules, mine.traffic = r.ten(t)
		}
		if note := load(f, mine.rules); note != "" {
			row.Cells[f.title] = cell{Note: note}
			continue
		}
		if err := b.feeder(mine); err != nil {
			return err
		}
		turns = append(turns, mine)
	}
	if err := b.rounds(turns); err != nil {
		return err
	}
	for _, turn := range turns {
		row.Cells[turn.title] = cell{Time: turn.best}
		if err := turn.confirm(); err != nil {
			return err
		}
	}
	return nil
}

// again measures packets once more, with the rules loaded anew, for a row that has the best of
// all measurements.
func (b *bench) again(sum *row, all []*firewall, r *rules, t *traffic) error {
	once := newRow(sum.What, sum.N)
	err := b.packets(once, all, r, t, b.loading)
	for title, c := range once.Cells {
		sum.Cells[title] = faster(sum.Cells[title], c)
	}
	return err
}

// medians measures packets several times, with the rules loaded anew each time.
func (b *bench) medians(row *row, all []*firewall, r *rules, t *traffic) error {
	for range b.size.medians {
		once := newRow(row.What, row.N)
		if err := b.packets(once, all, r, t, b.loading); err != nil {
			return err
		}
		for title, c := range once.Cells {
			sum := row.Cells[title]
			sum.Note = c.Note
			if c.Note == "" {
				sum.Runs = append(sum.Runs, c.Time)
				sum.Time = median(sum.Runs)
			}
			row.Cells[title] = sum
		}
	}
	return nil
}

// feeder makes what feeds the firewall of a turn.
func (b *bench) feeder(t *turn) error {
	packets, err := t.traffic.packets()
	if err != nil {
		return err
	}
	t.Feeder, err = t.host.NewFeeder(flood.Options{Packets: packets, Wire: t.traffic.wire, CPU: b.cpu})
	if err != nil || t.traffic.answer == nil {
		return err
	}
	// The first packets begin the connection, the answer makes it ESTABLISHED.
	if _, err = t.Feed(flood.Batch); err != nil {
		return errors.Join(err, t.Close())
	}
	return t.host.Answer(t.traffic.answer)
}

// loading loads rules, into iptables-nft not too many.
func (b *bench) loading(f *firewall, r *rules) (note string) {
	switch {
	case f.load == nil:
		return f.attachNone(r)
	case f.title == nft && len(r.Rules) > nftMost:
		return fmt.Sprintf("not measured with more than %d rules", nftMost)
	}
	_, note = f.apply(r, b.size.limit)
	return note
}

// rounds goes on until no firewall gets faster, or for long enough.
func (b *bench) rounds(turns []*turn) error {
	for _, t := range turns {
		first, err := t.turn(4 * flood.Batch)
		if err != nil {
			return err
		}
		t.frames = max(2*flood.Batch, int(b.size.turn/max(first, 1))/flood.Batch*flood.Batch)
	}
	start := time.Now()
	for round, last := 0, 0; round-last < b.size.rounds && (round < b.size.rounds || time.Since(start) < b.size.row); round++ {
		for _, t := range turns {
			d, err := t.turn(t.frames)
			if err != nil {
				return err
			}
			if t.best == 0 || d < t.best*99/100 {
				last = round
			}
			if t.best == 0 || d < t.best {
				t.best = d
			}
		}
	}
	return nil
}

// turn feeds frames.
func (t *turn) turn(frames int) (time.Duration, error) {
	if t.traffic.fresh {
		if err := t.host.Command("conntrack", "-F"); err != nil {
			return 0, err
		}
		frames = min(frames, len(t.traffic.headers)/2)
	}
	return t.Feed(frames)
}

// fewRules is up to how many rules each one's counter is compared with the reference.
const fewRules = 1000

// confirm sees that every packet was counted, and by the right rule.
func (t *turn) confirm() error {
	r := t.rules
	if t.save == nil {
		return nil
	}
	sent, err := t.Sent()
	if err != nil {
		return err
	}
	out, err := t.host.Output(t.save(r.Family)...)
	if err != nil {
		return fmt.Errorf("%s: save: %w", t.title, err)
	}
	counts, err := counters(string(out), cmp.Or(r.Chain, "INPUT"))
	if err != nil {
		return fmt.Errorf("%s: %w", t.title, err)
	}
	if t.traffic.answer != nil {
		sent++
	} else {
		counts = counts[min(len(r.Before), len(counts)):] // those in front do not match what is fed
	}
	sum := uint64(0)
	for _, n := range counts {
		sum += n
	}
	if sum != sent {
		return fmt.Errorf("%s, %d rules: %d of %d packets counted", t.title, len(r.Rules), sum, sent)
	}
	if len(r.Rules) > fewRules || r.whole != "" || len(r.After) > 0 || len(counts) != len(r.Rules)+1 {
		return nil
	}
	want := r.expected(t.traffic, sent)
	for i, n := range counts {
		if n != want[i] {
			return fmt.Errorf("%s: rule %d of %d counted %d packets, the reference %d", t.title, i+1, len(r.Rules), n, want[i])
		}
	}
	return nil
}

// counters are those of a chain's rules, in order, and its policy's, in the text of
// iptables-save -c.
func counters(text, chain string) (packets []uint64, err error) {
	var policy uint64
	for _, line := range strings.Split(text, "\n") {
		_, after, ok := strings.Cut(line, "[")
		if !ok || !strings.HasPrefix(line, ":"+chain+" ") && !strings.Contains(line, "] -A "+chain+" ") {
			continue
		}
		number, _, _ := strings.Cut(after, ":")
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("save printed %q", line)
		}
		if line[0] == ':' {
			policy = n
		} else {
			packets = append(packets, n)
		}
	}
	return append(packets, policy), nil
}

// fullSocket binds a socket that accepted frames reach and find full after a few:
// the way ends there, without an answer.
func (f *firewall) fullSocket(port uint16) (fd int, err error) {
	err = f.host.Do(func() (err error) {
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
