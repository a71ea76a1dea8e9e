package conformance

import (
	"encoding/hex"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// textRules search in both ways, also between two offsets. Nobody answers what is dropped.
const textRules = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A OUTPUT -m string --string "friendly-scanner" --algo bm
-A OUTPUT -m string --string "friendly-scanner" --algo kmp
-A OUTPUT -m string --string "FRIENDLY-" --algo bm --icase
-A OUTPUT -m string ! --string "friendly-scanner" --algo bm --from 1490
-A OUTPUT -m string --string "scanner" --algo kmp --from 1490 --to 1510
-A OUTPUT -m string --string "friendly-scanner" --algo bm --to 1505
-A OUTPUT -p udp -j DROP
COMMIT
`

// A datagram that is longer than a frame lies in several blocks of memory. Boyer and Moore's search
// does not see what begins in one and ends in the next (lib/ts_bm.c), the other one does.
func TestTextAcrossBlocks(t *testing.T) {
	for family, ends := range map[packet.Family]string{
		packet.IPv4: "198.18.0.1:5000 > 198.18.1.2:9", packet.IPv6: "[2001:db8:1ab::1]:5000 > [2001:db8:1ab:1::2]:9",
	} {
		var packets []string
		for at := range 40 {
			for _, block := range []int{1430, 2900} {
				text := []byte(strings.Repeat(".", 4500))
				copy(text[block+2*at:], "friendly-scanner")
				packets = append(packets, fmt.Sprintf("@udp udp %s payload %s", ends, hex.EncodeToString(text)))
			}
		}
		p := loaded(t, family, textRules)
		for _, s := range []*side{p.ref, p.ours} {
			for _, dev := range s.lab.Interfaces() {
				if out, err := exec.Command("ip", "-n", s.lab.Host(), "link", "set", "dev", dev, "mtu", "1500").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
		}
		p.sends(t, packets...)
		want := p.counted(t, family)
		seen := map[string]string{}
		for i, line := range want.lines {
			seen[line] = want.counters[i]
		}
		if seen[`-A OUTPUT -m string --string "friendly-scanner" --algo bm`] == seen[`-A OUTPUT -m string --string "friendly-scanner" --algo kmp`] {
			t.Errorf("%s: no datagram had the text in two blocks: %v", family, seen)
		}
	}
}
