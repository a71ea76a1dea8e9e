package translate_test

import (
	"strings"
	"testing"

	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

// TestForeseen: a rule may ask for what no rule before it can have changed, or for what can be
// foretold of the change.
func TestForeseen(t *testing.T) {
	const (
		bytes = "-m u32 --u32 0x0=0x1"
		ttl   = "-m ttl --ttl-eq 1"
		syn   = "-p tcp -m tcp --syn"
	)
	for _, c := range []struct {
		name, rules, why string // why: part of the reason for which netfilter has the table
	}{
		{"asked before", "-A INPUT " + bytes + " -j TTL --ttl-set 1", ""},
		{"asked behind", "-A INPUT -j TTL --ttl-set 1\n-A INPUT " + bytes, "f:9:1: u32: a rule before it changes"},
		{"foretold", "-A INPUT -j TTL --ttl-set 1\n-A INPUT " + ttl, ""},
		{"at another hook", "-A INPUT -j TTL --ttl-set 1\n-A OUTPUT " + bytes, ""},
		{"in a chain", "-A INPUT -j a\n-A a -j TOS --set-tos 1\n-A INPUT -j b\n-A b " + bytes, "u32"},
		{"in a chain that comes first", "-A INPUT -j b\n-A b " + bytes + "\n-A INPUT -j a\n-A a -j TOS --set-tos 1", ""},
		{"deeper", "-A INPUT -j a\n-A a -j b\n-A b -j DSCP --set-dscp 1\n-A INPUT " + bytes, "u32"},
		{"behind a goto", "-A INPUT -s 192.0.2.1 -g a\n-A a -j TOS --set-tos 1\n-A INPUT " + bytes, "u32"},
		{"options asked before", "-A FORWARD " + syn + " -m tcpmss --mss 1400:1500 -j TCPMSS --set-mss 1300\n-A FORWARD " + syn + " -j TCPMSS --clamp-mss-to-pmtu", ""},
		{"options asked behind", "-A FORWARD " + syn + " -j TCPMSS --set-mss 1300\n-A FORWARD " + syn + " -m tcpmss --mss 1:5", "tcpmss"},
		{"length asked behind", "-A FORWARD " + syn + " -j TCPMSS --set-mss 1300\n-A FORWARD -m length --length 40", ""},
		{"queued at OUTPUT", "-A OUTPUT -j MARK --set-mark 1\n-A OUTPUT -j NFQUEUE", "NFQUEUE"},
		{"queued at INPUT", "-A INPUT -j MARK --set-mark 1\n-A INPUT -j NFQUEUE", ""},
		{"queued unchanged", "-A OUTPUT -j CONNMARK --set-mark 1\n-A OUTPUT -j NFQUEUE", ""},
	} {
		text := "*mangle\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:a - [0:0]\n:b - [0:0]\n\n" + c.rules + "\nCOMMIT\n"
		rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{File: "f", Family: packet.IPv4})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		table := translate.Translate(rs, translate.Options{Can: shim.Can}).Plan.Tables[0]
		var reasons string
		for _, n := range table.Reasons {
			reasons += n.String() + "\n"
		}
		if table.InBPF != (c.why == "") || !strings.Contains(reasons, c.why) {
			t.Errorf("%s: in BPF: %t, %q, want %q", c.name, table.InBPF, reasons, c.why)
		}
	}
}

// TestZoneOfMark: conntrack reads the mark when all of raw has been asked.
func TestZoneOfMark(t *testing.T) {
	for rules, why := range map[string]string{
		"-A PREROUTING -j MARK --set-mark 1\n-A PREROUTING -j CT --zone mark":                "",
		"-A PREROUTING -j CT --zone mark\n-A OUTPUT -j MARK --set-mark 1":                    "",
		"-A PREROUTING -j CT --zone 1\n-A PREROUTING -j MARK --set-mark 1":                   "",
		"-A PREROUTING -j CT --zone mark\n-A PREROUTING -s 192.0.2.1 -j MARK --set-mark 1":   "f:6:1: MARK: a rule before it changes",
		"-A PREROUTING -j CT --zone-orig mark\n-A PREROUTING -j a\n-A a -j MARK --or-mark 1": "a rule before it changes",
	} {
		text := "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:a - [0:0]\n" + rules + "\nCOMMIT\n"
		rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{File: "f", Family: packet.IPv4})
		if err != nil {
			t.Errorf("%s: %v", rules, err)
			continue
		}
		table := translate.Translate(rs, translate.Options{Can: shim.Can}).Plan.Tables[0]
		if table.InBPF != (why == "") || why != "" && !strings.Contains(table.Reasons[0].String(), why) {
			t.Errorf("%s: in BPF: %t, %v, want %q", rules, table.InBPF, table.Reasons, why)
		}
	}
}
