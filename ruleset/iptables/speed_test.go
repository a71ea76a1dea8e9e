package iptables_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// manyRules is a text with n rules of the kind that long block lists have.
func manyRules(n int) []byte {
	var b bytes.Buffer
	b.WriteString("*filter\n:INPUT ACCEPT [0:0]\n")
	for i := range n {
		fmt.Fprintf(&b, "-A INPUT -s 198.%d.%d.%d/32 -p udp -m udp --dport %d -j DROP\n", 18+i>>16&1, i>>8&255, i&255, 1+i%65535)
	}
	b.WriteString("COMMIT\n")
	return b.Bytes()
}

func readMany(tb testing.TB, text []byte) {
	_, _, err := iptables.Read(bytes.NewReader(text), iptables.Options{Family: packet.IPv4})
	if err != nil {
		tb.Fatal(err)
	}
}

// manyInserts inserts at the head, which must not cost more for long chains.
func manyInserts(n int) []byte {
	return bytes.ReplaceAll(manyRules(n), []byte("-A INPUT"), []byte("-I INPUT"))
}

// manyJumps has a chain for each rule.
func manyJumps(n int) []byte {
	var b bytes.Buffer
	b.WriteString("*filter\n:INPUT ACCEPT [0:0]\n")
	for i := range n {
		fmt.Fprintf(&b, ":c%d - [0:0]\n", i)
	}
	for i := range n {
		fmt.Fprintf(&b, "-A INPUT -p udp -m udp --dport %d -j c%d\n-A c%d -j RETURN\n", 1+i%65535, i, i)
	}
	b.WriteString("COMMIT\n")
	return b.Bytes()
}

// cost is the processor time that reading takes, the least of a few times: what other
// processes do does not count.
func cost(t *testing.T, text []byte) time.Duration {
	t.Helper()
	best := time.Duration(0)
	for range 3 {
		var before, after unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &before); err != nil {
			t.Fatal(err)
		}
		readMany(t, text)
		if err := unix.Getrusage(unix.RUSAGE_SELF, &after); err != nil {
			t.Fatal(err)
		}
		used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		if took := time.Duration(used); best == 0 || took < best {
			best = took
		}
	}
	return best
}

// The work of reading does not grow with the square of the rules: 16 times the rules take
// 16 times the work, not 256 times.
func TestManyRules(t *testing.T) {
	for name, text := range map[string]func(int) []byte{"rules": manyRules, "inserts": manyInserts, "jumps": manyJumps} {
		few, many := cost(t, text(10_000)), cost(t, text(160_000))
		if many > 80*few {
			t.Errorf("%s: 160,000 took %v, 10,000 took %v", name, many, few)
		}
	}
}

// Deletes by specification look through the chain, but look at a rule for little: a
// thousand of them take less than reading the chain a hundred times.
func TestManyDeletes(t *testing.T) {
	adds := manyRules(20_000)
	lines := bytes.SplitAfter(adds, []byte("\n"))
	var text []byte
	text = append(text, bytes.TrimSuffix(adds, []byte("COMMIT\n"))...)
	for i := 20_000; i > 19_000; i-- {
		text = append(text, bytes.Replace(lines[i], []byte("-A"), []byte("-D"), 1)...)
	}
	text = append(text, "COMMIT\n"...)
	if read, deleted := cost(t, adds), cost(t, text); deleted > 100*read {
		t.Errorf("1,000 deletes from 20,000 rules took %v, the rules alone %v", deleted, read)
	}
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{100, 10_000, 160_000} {
		text := manyRules(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				readMany(b, text)
			}
		})
	}
}
