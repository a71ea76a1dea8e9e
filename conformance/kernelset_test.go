package conformance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// SET changes the kernel's sets as iptables-legacy has it done, from our table in nf_tables:
// nothing of ours stands in the tables of iptables, and a set is held while a rule names it.
func TestKernelSets(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	rules := []byte(`*filter
-A INPUT -p udp -m udp --dport 7 -j SET --add-set one src
-A INPUT -p udp -m udp --dport 8 -j SET --add-set two dst,src --timeout 900
-A INPUT -p udp -m udp --dport 9 -j SET --del-set one src
-A INPUT -p udp -m udp --dport 11 -j SET --add-set two src,src --exist
COMMIT
*mangle
-A PREROUTING -p udp -m udp --dport 12 -j SET --add-set three src,dst,dst
-A PREROUTING -p udp -m udp --dport 12 -j IDLETIMER --timeout 600 --label bpftables-set
COMMIT
`)
	sets := `create one hash:ip
create two hash:ip,port timeout 600
create three hash:ip,port,ip
`
	seen := func(a lab.Applier) []string {
		l := newLab(t, binary)
		command(t, l.Host(), sets, "ipset", "restore")
		if err := a.Apply(l.Host(), packet.IPv4, rules); err != nil {
			t.Fatal(err)
		}
		for i, port := range []int{7, 8, 7, 9, 11, 12} {
			events(t, l, fmt.Sprintf("udp 198.18.0.%d:5000 > 198.18.0.1:%d in eth0", 2+i%2, port))
		}
		if _, isOurs := a.(lab.Command); isOurs {
			status := string(command(t, l.Host(), "", binary, "status"))
			if strings.Count(status, "netfilter's part is unchanged") != 2 {
				t.Errorf("status: %s", status)
			}
			for _, tool := range []string{"iptables-legacy-save", "iptables-nft-save"} {
				if saved := string(command(t, l.Host(), "", tool)); strings.Contains(saved, "bpf") {
					t.Errorf("%s prints rules of ours: %s", tool, saved)
				}
			}
			command(t, l.Host(), "", "sh", "-c", "! ipset destroy one")
		}
		lines := strings.Split(string(command(t, l.Host(), "", "ipset", "save")), "\n")
		var out []string
		for _, line := range lines {
			if before, _, timed := strings.Cut(line, " timeout "); timed && strings.HasPrefix(line, "add") {
				line = before
			}
			if !strings.HasPrefix(line, "create") { // it has a number by chance
				out = append(out, line)
			}
		}
		slices.Sort(out)
		return out
	}
	ours, theirs := seen(lab.Command{Path: binary}), seen(lab.Legacy{})
	if !slices.Equal(ours, theirs) || len(ours) < 4 {
		t.Errorf("sets: %q; iptables-legacy: %q", ours, theirs)
	}
}

// SET takes marks from the kernel's sets for the packets that BPF says, as iptables-legacy has it done.
func TestKernelSetMarks(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	rules := []byte(`*mangle
-A PREROUTING -p udp -m udp --dport 13:14 -j SET --map-set marks src --map-mark
-A PREROUTING -p udp -m udp --dport 14 -j MARK --set-xmark 0x100/0x100
-A POSTROUTING -p udp -j SET --map-set marks src,dst --map-prio
COMMIT
*filter
-A FORWARD -m mark --mark 0x5/0xf
-A FORWARD -m mark --mark 0x100/0x100
COMMIT
`)
	seen := func(a lab.Applier) (out []string) {
		l := newLab(t, binary)
		command(t, l.Host(), "create marks hash:ip skbinfo\nadd marks 198.18.0.2 skbmark 0x5/0xf\nadd marks 198.18.0.3 skbmark 0x6/0xff skbprio 1:7\n", "ipset", "restore")
		if err := a.Apply(l.Host(), packet.IPv4, rules); err != nil {
			t.Fatal(err)
		}
		for i, port := range []int{12, 13, 14, 13, 14, 13} {
			out = append(out, events(t, l, fmt.Sprintf("udp 198.18.0.%d:5000 > 198.18.1.7:%d in eth0", 2+i%3, port)))
		}
		if _, isOurs := a.(lab.Command); isOurs {
			if status := string(command(t, l.Host(), "", binary, "status")); strings.Contains(status, "mangle    netfilter") {
				t.Errorf("status: %s", status)
			}
		}
		text, err := a.Save(l.Host(), packet.IPv4, true)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "[") {
				out = append(out, line)
			}
		}
		return out
	}
	ours, theirs := seen(lab.Command{Path: binary}), seen(lab.Legacy{})
	slices.Sort(ours) // the order of tables is not the same
	slices.Sort(theirs)
	if !slices.Equal(ours, theirs) || !strings.Contains(strings.Join(ours, ""), "mark 0x5") {
		t.Errorf("ours: %q; iptables-legacy: %q", ours, theirs)
	}
}
