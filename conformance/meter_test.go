package conformance

import (
	"fmt"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
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
	needRoot(t)
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	for family, addrs := range map[packet.Family][2]string{
		packet.IPv4: {"198.18.0.5%d:5000", "198.18.0.1:%d"}, packet.IPv6: {"[2001:db8:1ab::5%d]:5000", "[2001:db8:1ab::1]:%d"},
	} {
		want, got := meterRun(t, lab.Legacy{}, family, addrs), meterRun(t, a, family, addrs)
		for i := range want {
			diffs, counted := compareSaved(want[i], got[i])
			for _, d := range diffs {
				t.Errorf("%s, step %d: %s", family, i, d)
			}
			if counted == 0 {
				t.Errorf("%s, step %d: nothing was counted", family, i)
			}
		}
	}
}

// Rules that measure rates and those that use up credit cannot share a table: the kernel refuses the
// second one.
func TestMeterKinds(t *testing.T) {
	needRoot(t)
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []lab.Applier{lab.Legacy{}, a} {
		l, err := lab.New(lab.Options{Interfaces: []string{"eth0"}})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		defer by.Clear(l.Host())
		mixed := "*filter\n-A INPUT -m hashlimit --hashlimit-above 2/s --hashlimit-name a\n" +
			"-A INPUT -m hashlimit --hashlimit-above 2/s --hashlimit-name a --hashlimit-rate-match\nCOMMIT\n"
		if err := by.Apply(l.Host(), packet.IPv4, []byte(mixed)); err == nil {
			t.Errorf("%T: both rules are taken", by)
		}
		if err := by.Apply(l.Host(), packet.IPv4, []byte("*filter\n-A INPUT -m hashlimit --hashlimit-above 2/s --hashlimit-name a\nCOMMIT\n")); err != nil {
			t.Fatal(err)
		}
		if err := by.Apply(l.Host(), packet.IPv4, []byte("*filter\n-A INPUT -m hashlimit --hashlimit-above 2/s --hashlimit-name a --hashlimit-rate-match\nCOMMIT\n")); err == nil {
			t.Errorf("%T: a rule that measures is taken, while a table is there that does not", by)
		}
	}
}

// meterRun gives the counters after each step.
func meterRun(t *testing.T, a lab.Applier, family packet.Family, addrs [2]string) (out []saved) {
	t.Helper()
	l, err := lab.New(lab.Options{Interfaces: []string{"eth0", "eth1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer a.Clear(l.Host())
	for _, rules := range meterSteps {
		text := "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:user - [0:0]\n" + rules + "COMMIT\n"
		if err := a.Apply(l.Host(), family, []byte(text)); err != nil {
			t.Fatal(err)
		}
		for i := range 16 {
			at := fmt.Sprintf("udp "+addrs[0]+" > "+addrs[1]+" len %d in eth0", i%3, 9+i%2, 100+40*i)
			p, err := lab.Parse(family, at)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Send(p); err != nil {
				t.Fatal(err)
			}
		}
		counted, err := a.Save(l.Host(), family, true)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, readSaved(string(counted)))
	}
	return out
}
