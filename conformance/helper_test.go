package conformance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// CT --helper is told in our table of nf_tables, in two parts: before conntrack and behind it. No command
// of iptables reaches it or prints it. Without the second part packets that need it are dropped, as without the
// first, and the next change of any rule puts it back. A generation takes the helpers of the one before along.
func TestHelpersOfOthersFlushes(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	rules := `*raw
-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp
-A PREROUTING -p udp -m udp --dport 69 -j CT --helper tftp
-A OUTPUT -p udp -m udp --dport 69 -j CT --helper tftp
COMMIT
`
	restore(t, binary, l.Host(), rules)
	port := 5000
	meets := func(text string) (event string, helped bool) { // first packet of a connection
		t.Helper()
		port++
		event = events(t, l, fmt.Sprintf(text, port))
		all, err := l.Connections()
		if err != nil {
			t.Fatal(err)
		}
		return event, slices.ContainsFunc(all, func(line string) bool {
			return strings.HasPrefix(line, "helper ") && strings.Contains(line, fmt.Sprintf("sport=%d ", port))
		})
	}
	const (
		control = "tcp 198.18.0.50:%d > 198.18.1.50:21 flags syn in eth0"
		file    = "udp 198.18.0.50:%d > 198.18.1.50:69 in eth0"
		sent    = "udp 198.18.0.1:%d > 198.18.1.50:69 out eth1"
		other   = "udp 198.18.0.50:%d > 198.18.1.50:70 in eth0"
	)
	enforced := func(when string) {
		t.Helper()
		for _, text := range []string{control, file, sent, other} {
			if event, helped := meets(text); event == "" || helped != (text != other) {
				t.Errorf("%s: %s: %q, helper: %t", when, text, event, helped)
			}
		}
	}
	closed := func(when string, dropped ...string) {
		t.Helper()
		for _, text := range []string{control, file, sent, other} {
			if event, _ := meets(text); (event == "" || strings.Contains(event, "EPERM")) != slices.Contains(dropped, text) {
				t.Errorf("%s: %s: %q", when, text, event)
			}
		}
		status := string(command(t, l.Host(), "", binary, "status"))
		if !strings.Contains(status, "table raw was removed or changed") {
			t.Errorf("%s: status: %s", when, status)
		}
	}
	change := func() {
		command(t, l.Host(), "", binary, "iptables", "-w", "60", "-A", "INPUT", "-s", "192.0.2.1")
	}
	enforced("before")
	for _, tool := range []string{"iptables-legacy", "iptables-nft"} {
		command(t, l.Host(), "", tool, "-w", "60", "-t", "raw", "-F")
		command(t, l.Host(), "", tool, "-w", "60", "-t", "raw", "-X")
		enforced(tool + " -F")
		if saved := string(command(t, l.Host(), "", tool+"-save")); strings.Contains(saved, "bpf") {
			t.Errorf("%s-save prints rules of ours: %s", tool, saved)
		}
	}
	command(t, l.Host(), "", "nft", "flush chain ip bpftables bpftables-r-PREROUTING-199")
	closed("no second part", control, file)
	change()
	enforced("put back")
	command(t, l.Host(), "", "nft", "flush", "ruleset")
	closed("nft flush ruleset", control, file, sent)
	change()
	enforced("put back again")
	restore(t, binary, l.Host(), strings.ReplaceAll(rules, "OUTPUT -p udp -m udp --dport 69", "OUTPUT -p udp -m udp --sport 5000:9999 --dport 69"))
	enforced("next generation")
	if left := string(command(t, l.Host(), "", "nft", "list", "table", "ip", "bpftables")); strings.Count(left, "\n\tct helper ") != 2 {
		t.Errorf("helpers of two generations: %s", left)
	}
	restore(t, binary, l.Host(), "*raw\nCOMMIT\n")
	if tables := string(command(t, l.Host(), "", "nft", "list", "ruleset")); strings.Contains(tables, "helper") {
		t.Errorf("helpers stay: %s", tables)
	}
}
