package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/conformance/flood"
	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

const (
	capacity    = "as much as one processor takes"
	servicePort = 80
)

// services are what the attacked host offers.
var services = []string{
	"-p icmp -m icmp --icmp-type 8 -j ACCEPT",
	"-p tcp -m tcp --dport 22 -j ACCEPT",
	fmt.Sprintf("-p tcp -m tcp --dport %d -j ACCEPT", servicePort),
	"-p tcp -m tcp --dport 443 -j ACCEPT",
}

var ddosPart = &part{
	name: "ddos", title: "A service beside an attack",
	about: `A host with policy DROP: lo, RELATED,ESTABLISHED and INVALID as usual, N blocked sources, then ping, ssh and web. The attack is TCP SYNs
from all blocked sources to the web port, on the wire, processed on one processor, where the service runs, too; when both want all of it,
they share it, as the service and the kernel's thread for packets do. What the processor does not take in time is lost. The service is a TCP program that
answers requests of 64 bytes. A client on another processor asks 4,000 times per second, on 4 connections; a request that could not be
sent in time counts from when it should have been. First row: attack packets dropped per second when nothing else runs. Then: requests
answered per second, median and 99th percentile of the answer time, and the attack packets that were dropped per second. "ipset" has one rule with a set of N addresses, in iptables-legacy.`,
	firewalls: []string{legacy, ipSet, earlyOff, early}, what: "attack, packets per second", show: service,
	measure: measureDDoS,
}

func measureDDoS(b *bench, r *result) error {
	all, err := b.usual(legacy, ipSet, earlyOff, early)
	if err != nil {
		return errors.Join(err, removeAll(all))
	}
	rules := newRules(shapes.Sources, packet.IPv4, b.size.listed)
	rules.Policy, rules.Before, rules.After = "DROP", stateful, services
	t := rules.synFlood(b.size.spread)
	err = b.packets(r.add(capacity, b.size.listed), all, rules, t, b.loading)
	for _, rate := range b.size.rates {
		row := r.add(fmt.Sprint(rate), b.size.listed)
		for _, f := range all {
			b.say("%s: attack of %d packets per second", f.title, rate)
			if err == nil {
				row.Cells[f.title], err = b.attacked(f, rules, t, rate)
			}
		}
	}
	return errors.Join(err, removeAll(all))
}

// synFlood is what blocked sources send.
func (r *rules) synFlood(n int) *traffic {
	t := r.spread(n)
	t.wire = true
	rnd := rand.New(rand.NewPCG(packetSeed, 3))
	for i := range t.headers {
		h := &t.headers[i]
		h.Proto, h.DstPort, h.Flags = unix.IPPROTO_TCP, servicePort, packet.FlagSYN
		h.SrcPort = uint16(1024 + rnd.IntN(64000))
	}
	return t
}

// attacked measures the service of a firewall during an attack.
func (b *bench) attacked(f *firewall, r *rules, t *traffic, rate int) (c cell, err error) {
	if _, note := f.apply(r, b.size.limit); note != "" {
		return cell{Note: note}, nil
	}
	defer func() { err = errors.Join(err, f.empty(r.Family)) }()
	packets, err := t.packets()
	if err != nil {
		return c, err
	}
	in, err := f.host.NewFeeder(flood.Options{Packets: packets, Wire: true, CPU: b.cpu, Fair: true})
	if err != nil {
		return c, err
	}
	defer in.Close()
	end, err := startService(f.host, b.cpu)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, end()) }()
	return b.ask(f, in, rate)
}

// ask runs client and attack at the same time.
func (b *bench) ask(f *firewall, in *flood.Feeder, rate int) (c cell, err error) {
	answers, wait, err := startClient(f.host, max(b.cpu-1, 0), b.size.attack)
	if err != nil {
		return c, err
	}
	start := time.Now()
	if rate > 0 {
		size := max(flood.Batch, rate/5000)
		err = in.FeedAll(size, pace(time.Duration(size)*time.Second/time.Duration(rate), start.Add(b.size.attack)))
	}
	took := time.Since(start)
	if err := errors.Join(err, wait()); err != nil {
		return c, err
	}
	sent, err := in.Sent()
	if err != nil {
		return c, err
	}
	if rate > 0 {
		c.Dropped = float64(sent) / took.Seconds()
	}
	c.PerSec, c.P50, c.P99 = float64(answers.Answered)/answers.Took.Seconds(), answers.P50, answers.P99
	return c, nil
}

// pace waits for the time of the next batch, without making up for those that came
// too late to be sent, as a wire does.
func pace(every time.Duration, until time.Time) func() bool {
	next := time.Now()
	return func() bool {
		now := time.Now()
		if now.After(until) {
			return false
		}
		if wait := next.Sub(now); wait > 0 {
			ts := unix.NsecToTimespec(wait.Nanoseconds())
			// An interrupted sleep is a batch that comes early.
			_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil)
		}
		next = next.Add(every)
		if now.Sub(next) > 10*every {
			next = now
		}
		return true
	}
}
