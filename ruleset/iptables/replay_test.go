package iptables_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// outcome is all that a reading gives: what it warns of, and the print with its places, or the faults.
func outcome(t *testing.T, text string, o iptables.Options, read func(string, iptables.Options) (*ruleset.Ruleset, error)) string {
	t.Helper()
	var b strings.Builder
	o.Warn = func(text string) { b.WriteString("warning: " + text + "\n") }
	rs, err := read(text, o)
	if err != nil {
		return b.String() + err.Error()
	}
	for _, table := range rs.Tables {
		for _, c := range table.Chains {
			for _, r := range c.Rules {
				b.WriteString(r.Pos.String() + " " + iptables.PrintRule(r, c.Name) + "\n")
			}
		}
	}
	return b.String() + printed(t, rs)
}

// sameReplay wants of a reading with recipes, and on all processors, what one without them gives.
func sameReplay(t *testing.T, text string, o iptables.Options) {
	t.Helper()
	with := outcome(t, text, o, func(text string, o iptables.Options) (*ruleset.Ruleset, error) {
		rs, _, err := iptables.Read(strings.NewReader(text), o)
		return rs, err
	})
	without := outcome(t, text, o, iptables.ReadPlainly)
	if with != without {
		t.Errorf("with recipes: %s\nof %.2000s", diff(with, without), text)
	}
	if together := outcome(t, text, o, iptables.ReadTogether); together != without {
		t.Errorf("read together: %s\nof %.2000s", diff(together, without), text)
	}
}

// TestReplayWarnings: what iptables warns of in a line is said however that is read.
func TestReplayWarnings(t *testing.T) {
	text := "*filter\n" + strings.Repeat("-A INPUT -m iprange --src-range 192.0.2.5-192.0.2.4 -j DROP\n-A INPUT -s 192.0.2.1 -j DROP\n", 20) + "COMMIT\n"
	o := iptables.Options{Family: packet.IPv4}
	if n := strings.Count(outcome(t, text, o, iptables.ReadPlainly), "is reversed"); n != 20 {
		t.Errorf("%d warnings of 20 lines", n)
	}
	sameReplay(t, text, o)
}

// TestReplayWords mixes arguments of all kinds: lines that differ in a few of them come
// one after the other.
func TestReplayWords(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	address := func() string {
		return pick("192.0.2.1", "198.18.0.0/15", "192.0.2.1,192.0.2.2", "-s", "nohost.invalid/33", "0/0", "!", "1.2.3")
	}
	part := func() string {
		switch rnd.IntN(14) {
		case 0:
			return pick("-s ", "-s", "--source ", "--source=", "! -s ") + address()
		case 1:
			return pick("-d ", "-d", "--dst ", "! --dst ") + address()
		case 2:
			return "-p " + pick("tcp", "udp", "6", "icmp", "all", "none")
		case 3:
			return pick("--dport ", "--dport=", "--sport ", "! --dport ") + pick("1", "22", "http", "1:2", "2:1", "70000", "-j", "!")
		case 4:
			return "-m " + pick("tcp", "udp", "multiport", "conntrack", "mark", "comment", "nothing")
		case 5:
			return pick("--dports ", "--ports ") + pick("1,2", "1", "1,2,3:4", "x")
		case 6:
			return pick("--ctstate ", "! --ctstate ") + pick("NEW", "NEW,ESTABLISHED", "OLD")
		case 7:
			return "--mark " + pick("1", "0x10/0xff", "z")
		case 8:
			return "--comment " + pick("a", `"a b"`, `"-j"`, `""`)
		case 9:
			return pick("-i ", "-i", "-o ") + pick("eth0", "lo", "toolongforaninterface")
		case 10:
			return pick("-j ", "-g ", "-j") + pick("ACCEPT", "DROP", "LOG", "u", "w", "RETURN")
		case 11:
			return pick("--log-prefix ", "--log-level ") + pick("x", "4", `"a b"`)
		case 12:
			return "-c " + pick("1 2", "3,4", "5")
		}
		return pick("--syn", "-4", "-6", "-f", "-v", "--log-uid", "x", "!", "--", "-m limit --limit 5/min")
	}
	for range 3000 {
		var b strings.Builder
		b.WriteString("*filter\n:u - [0:0]\n")
		base := []string{}
		for range 1 + rnd.IntN(6) {
			base = append(base, part())
		}
		for range 6 {
			line := append([]string{}, base...)
			if rnd.IntN(3) > 0 {
				line[rnd.IntN(len(line))] = part()
			}
			b.WriteString(pick("", "", "", "[1:2] ") + pick("-A ", "-A ", "-A ", "-A", "-I ", "-D ", "--append ") + pick("INPUT", "OUTPUT", "u", "none") + " " + strings.Join(line, " ") + "\n")
			if rnd.IntN(20) == 0 {
				b.WriteString(":" + pick("w", "LOG", "u") + " - [0:0]\n")
			}
		}
		b.WriteString("COMMIT\n")
		sameReplay(t, b.String(), iptables.Options{Family: packet.IPv4, Counters: rnd.IntN(2) == 0})
		if t.Failed() {
			return
		}
	}
}

func TestReplayCorpus(t *testing.T) {
	for _, f := range corpus(t) {
		sameReplay(t, f.text, iptables.Options{File: f.name, Family: f.family})
	}
}
