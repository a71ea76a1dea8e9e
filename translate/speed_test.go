package translate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

// BenchmarkTranslate makes the plan of long chains.
func BenchmarkTranslate(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		var text strings.Builder
		text.WriteString("*filter\n:INPUT ACCEPT [0:0]\n")
		for i := range n {
			fmt.Fprintf(&text, "-A INPUT -s 198.18.%d.%d/32 -p udp -m udp --dport %d -j DROP\n", i>>8&255, i&255, 1+i%65535)
		}
		text.WriteString("COMMIT\n")
		rs, _, err := iptables.Read(strings.NewReader(text.String()), iptables.Options{Family: packet.IPv4})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				translate.Translate(rs, translate.Options{Text: iptables.PrintRule, Can: shim.Can})
			}
		})
	}
}
