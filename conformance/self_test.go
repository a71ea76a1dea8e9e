package conformance

import (
	"os"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// needRoot skips where labs cannot be built; in CI that is a failure.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		cannot(t, "labs need root")
	}
}

// cannot skips a test, or fails it where everything has to be there.
func cannot(t *testing.T, why any) {
	t.Helper()
	if os.Getenv("REQUIRE_KERNEL") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

const selfRules = `*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p udp --dport 53 -j NOTRACK
COMMIT
*mangle
-A PREROUTING -i eth0 -p tcp --dport 80 -j MARK --set-mark 7
-A FORWARD -m mark --mark 7 -j CONNMARK --save-mark
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:web - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -p tcp -m multiport --dports 80,443,8000:8010 -j web
-A INPUT -p icmp --icmp-type 8 -j ACCEPT
-A INPUT -p udp -j REJECT
-A INPUT -p tcp -j REJECT --reject-with tcp-reset
-A web -s 10.0.0.0/8 -j DROP
-A web -m length --length 0:100 -j ACCEPT
-A FORWARD -f
-A FORWARD -p tcp --tcp-flags SYN,RST SYN -d 192.0.2.0/24 -j DROP
-A OUTPUT -p udp --dport 9 -m owner --uid-owner 500 -j DROP
-A OUTPUT -p tcp --dport 443 -j REJECT
COMMIT
`

// TestSelf: netfilter is like itself; if not, the lab sees things that are not
// there.
func TestSelf(t *testing.T) {
	needRoot(t)
	for seed := range int64(3) {
		r, err := Verify(Options{Family: packet.IPv4, Text: []byte(selfRules), Packets: 300, Seed: seed, Ours: lab.Legacy{}})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(r.Summary())
		for _, d := range r.Differences {
			t.Error(d)
		}
	}
}
