package iptables_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

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

// TestManyRules wants 160,000 rules to be read in about a second, as a guard against
// work that grows with the square of the rules.
func TestManyRules(t *testing.T) {
	text := manyRules(160_000)
	start := time.Now()
	readMany(t, text)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("160,000 rules took %v", took)
	}
}

// TestManyInserts inserts at the head, which must not cost more for long chains.
func TestManyInserts(t *testing.T) {
	text := bytes.ReplaceAll(manyRules(100_000), []byte("-A INPUT"), []byte("-I INPUT"))
	start := time.Now()
	readMany(t, text)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("100,000 inserts took %v", took)
	}
}

// TestManyDeletes deletes from a long chain by specification.
func TestManyDeletes(t *testing.T) {
	adds := manyRules(20_000)
	lines := bytes.SplitAfter(adds, []byte("\n"))
	var text []byte
	text = append(text, bytes.TrimSuffix(adds, []byte("COMMIT\n"))...)
	for i := 20_000; i > 19_000; i-- {
		text = append(text, bytes.Replace(lines[i], []byte("-A"), []byte("-D"), 1)...)
	}
	text = append(text, "COMMIT\n"...)
	start := time.Now()
	readMany(t, text)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("1,000 deletes from 20,000 rules took %v", took)
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
