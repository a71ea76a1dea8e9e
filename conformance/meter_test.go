package conformance

import (
	"fmt"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// meterSteps are rules that come one after the other. A table of limits lives as long as some rule
// names it, and is like the first one said.
var meterSteps = []string{
	"-A INPUT -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 3 --hashlimit-mode srcip --hashlimit-name a\n",
	"-A INPUT -m hashlimit --hashlimit-above 1000/s --hashlimit-burst 100 --hashlimit-mode dstport --hashlimit-name a\n" +
		"-A INPUT -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 9 --hashlimit-name b\n",
	"-A user -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-mode srcip --hashlimit-name a\n" +
		"-A INPUT -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 5 --hashlimit-name b\n",
	"-A INPUT -p udp -m udp --dport 9\n-A user -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-name b\n",
	"-A INPUT -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 5 --hashlimit-name a\n",
	// A table of bytes, of which a rule asks for packets.
	"-A INPUT -m hashlimit --hashlimit-upto 16b/s --hashlimit-burst 160b --hashlimit-name c\n" +
		"-A INPUT -m hashlimit --hashlimit-upto 2/hour --hashlimit-burst 1 --hashlimit-name c\n",
	"-A INPUT -m hashlimit --hashlimit-above 1kb/s --hashlimit-name e --hashlimit-rate-match --hashlimit-rate-interval 1000\n" +
		"-A INPUT -m hashlimit --hashlimit-above 1/s --hashlimit-name e --hashlimit-rate-match\n",
	// Both rules ask the table of the one that the kernel checks first: it takes built-in chains first.
	"-A user -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name f\n" +
		"-A INPUT -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 4 --hashlimit-mode dstport --hashlimit-name f -j user\n",
	"-A INPUT -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 4 --hashlimit-mode srcip --hashlimit-name g --hashlimit-htable-size 1 --hashlimit-htable-max 1\n",
}

func TestMeters(t *testing.T) {
	for family, addrs := range map[packet.Family][2]string{
		packet.IPv4: {"198.18.0.5%d:5000", "198.18.0.1:%d"}, packet.IPv6: {"[2001:db8:1ab::5%d]:5000", "[2001:db8:1ab::1]:%d"},
	} {
		var p *pair
		for step, rules := range meterSteps {
			text := "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:user - [0:0]\n" + rules + "COMMIT\n"
			if p == nil {
				p = loaded(t, family, text)
			} else {
				p.apply(t, text)
			}
			for i := range 16 {
				p.sends(t, fmt.Sprintf("udp "+addrs[0]+" > "+addrs[1]+" len %d in eth0", i%3, 9+i%2, 100+40*i))
			}
			p.counted(t, fmt.Sprintf("%s, step %d", family, step))
		}
	}
}

// Rules that measure rates and those that use up credit cannot share a table: the kernel refuses the
// second one.
func TestMeterKinds(t *testing.T) {
	p := loaded(t, packet.IPv4, "*filter\nCOMMIT\n")
	const (
		limits   = "-A INPUT -m hashlimit --hashlimit-above 2/s --hashlimit-name a\n"
		measures = "-A INPUT -m hashlimit --hashlimit-above 2/s --hashlimit-name a --hashlimit-rate-match\n"
	)
	for _, by := range []*side{p.ref, p.ours} {
		if err := by.apply([]byte("*filter\n" + limits + measures + "COMMIT\n")); err == nil {
			t.Errorf("%T: both rules are taken", by.firewall)
		}
		if err := by.apply([]byte("*filter\n" + limits + "COMMIT\n")); err != nil {
			t.Fatal(err)
		}
		if err := by.apply([]byte("*filter\n" + measures + "COMMIT\n")); err == nil {
			t.Errorf("%T: a rule that measures is taken, while a table is there that does not", by.firewall)
		}
	}
}
