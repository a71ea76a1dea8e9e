package conformance_test

import (
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// inOurTable are targets that our table in nf_tables runs, by table of iptables.
var inOurTable = map[string][]string{
	"raw":    {"PREROUTING -j NOTRACK", "PREROUTING -j CT --zone 3", "OUTPUT -j TRACE"},
	"mangle": {"FORWARD -p tcp -m tcp --syn -j TCPMSS --set-mss 1200", "POSTROUTING -p tcp -m tcp --syn -j TCPMSS --clamp-mss-to-pmtu", "PREROUTING -j TOS --set-tos 0x10", "FORWARD -j DSCP --set-dscp 3", "POSTROUTING -j CLASSIFY --set-class 1:2", "PREROUTING -p udp -j TPROXY --on-port 7", "OUTPUT -j CONNMARK --save-mark --nfmask 0xf --ctmask 0xf0"},
	"nat":    {"PREROUTING -p tcp -j REDIRECT --to-ports 7", "POSTROUTING -p udp -j MASQUERADE --to-ports 1000-2000", "POSTROUTING -j MASQUERADE", "INPUT -j NETMAP --to %NET", "OUTPUT -j DNAT --to-destination %ADDR", "POSTROUTING -j SNAT --to-source %ADDR --random"},
	"filter": {"INPUT -j REJECT", "FORWARD -p tcp -j REJECT --reject-with tcp-reset", "OUTPUT -j LOG", "INPUT -j NFLOG --nflog-group 5", "INPUT -j NFQUEUE --queue-bypass", "INPUT -j AUDIT --type accept", "FORWARD -j TEE --gateway %ADDR", "INPUT -j MARK --set-mark 7"},
}

// TestPlaceOfTargets: each of them does stand there. One that nf_tables refuses would work all the
// same, by the host's iptables, where a flush of another program takes it.
func TestPlaceOfTargets(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		names, tools := strings.NewReplacer("%NET", "192.0.2.0/28", "%ADDR", "192.0.2.1"), []string{"iptables-legacy-save", "iptables-nft-save"}
		if family == packet.IPv6 {
			names, tools = strings.NewReplacer("%NET", "2001:db8::/64", "%ADDR", "2001:db8::1"), []string{"ip6tables-legacy-save", "ip6tables-nft-save"}
		}
		var text strings.Builder
		for table, rules := range inOurTable {
			text.WriteString("*" + table + "\n-A " + strings.Join(rules, "\n-A ") + "\nCOMMIT\n")
		}
		l := newLab(t, binary)
		if err := (lab.Command{Path: binary}).Apply(l.Host(), family, []byte(names.Replace(text.String()))); err != nil {
			t.Fatal(err)
		}
		for _, tool := range tools {
			if saved := string(command(t, l.Host(), "", tool)); strings.Contains(saved, "bpf") {
				t.Errorf("%s prints rules of ours: %s", tool, saved)
			}
		}
	}
}
