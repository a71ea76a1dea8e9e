package commands

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// filler are rules that make a chain long, so that it is looked up.
func filler(chain string) string {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "-A %s -s 203.0.113.%d -p udp -m udp --dport 7 -j DROP\n", chain, i)
	}
	return b.String()
}

const (
	some = "-p udp -m udp --dport 1000:1003 "
	more = "-p udp -m udp --dport 1000:1005 "
	log  = "-j NFLOG --nflog-prefix a --nflog-group 3"
)

// cases are changes whose effect depends on more than the rule that changes.
var cases = []struct {
	name  string
	rules string // of filter
	steps []string
}{
	{"what logs before DROP goes on when that is deleted", ":INPUT ACCEPT [0:0]\n" + filler("INPUT") +
		"-A INPUT " + some + log + "\n-A INPUT " + some + "-j DROP\n-A INPUT " + more + log + "\n-A INPUT " + more + "-j ACCEPT\n",
		[]string{"-D INPUT 32"}},
	{"what logs before DROP goes on when that is replaced", ":INPUT ACCEPT [0:0]\n" + filler("INPUT") +
		"-A INPUT " + some + log + "\n-A INPUT " + some + "-j DROP\n-A INPUT " + more + log + "\n-A INPUT " + more + "-j ACCEPT\n",
		[]string{"-R INPUT 32 -s 192.0.2.1 -j DROP"}},
	{"a rule for all packets is deleted before one that logs", ":INPUT ACCEPT [0:0]\n" + filler("INPUT") +
		"-A INPUT " + some + log + "\n-A INPUT -j ACCEPT\n-A INPUT " + more + log + "\n",
		[]string{"-D INPUT 32"}},
	{"RETURN before the end of a chain that logs", ":INPUT ACCEPT [0:0]\n:logged - [0:0]\n" + filler("INPUT") +
		"-A INPUT " + some + "-j logged\n-A INPUT " + more + "-j logged\n-A logged " + log + "\n-A logged -j DROP\n",
		[]string{"-I logged 2 " + some + "-j RETURN", "-D logged 3"}},
	{"jumps to a chain that logs", ":INPUT ACCEPT [0:0]\n:logged - [0:0]\n" + filler("INPUT") +
		"-A INPUT " + some + "-j logged\n-A logged " + log + "\n",
		[]string{"-I INPUT 1 " + some + "-j logged", "-I INPUT 1 -j logged", "-A INPUT -j logged"}},
	{"a target anew", ":INPUT ACCEPT [0:0]\n" + filler("INPUT") + "-A INPUT -s 203.0.113.1 -j REJECT\n",
		[]string{"-I INPUT 1 " + more + "-j REJECT", "-I INPUT 1 " + some + "-j REJECT", "-D INPUT 2"}},
	{"a target behind a rule for all packets", ":INPUT ACCEPT [0:0]\n" + filler("INPUT") +
		"-A INPUT -j ACCEPT\n-A INPUT -s 203.0.113.1 -j REJECT\n", []string{"-I INPUT 1 " + some + "-j REJECT"}},
	{"a chain is met at another hook", ":INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:user - [0:0]\n" +
		filler("INPUT") + filler("OUTPUT") + filler("user") + "-A INPUT -j user\n",
		[]string{"-A OUTPUT " + some + "-j user", "-I user 1 " + some + "-j DROP", "-D INPUT 31"}},
	{"a target that only fits one hook", ":INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:user - [0:0]\n" +
		filler("INPUT") + filler("FORWARD") + filler("user") + "-A INPUT -j user\n-A FORWARD -j user\n",
		[]string{"-D FORWARD 31", "-A user " + some + "-i eth0 -j DROP", "-A user " + more + "-o eth0 -j DROP"}},
	{"connection tracking is new", ":INPUT ACCEPT [0:0]\n" + filler("INPUT"),
		[]string{"-I INPUT 1 -m conntrack --ctstate NEW " + some + "-j DROP", "-D INPUT 1", "-I INPUT 1 -m conntrack --ctstate INVALID -j DROP"}},
	{"connections are counted and labelled", ":INPUT ACCEPT [0:0]\n" + filler("INPUT"),
		[]string{"-A INPUT " + some + "-m connbytes --connbytes 2 --connbytes-dir both --connbytes-mode packets -j DROP", "-A INPUT " + some + "-m connlabel --label 3 --set",
			"-A INPUT " + some + "-m connlabel --label 3 -j DROP", "-D INPUT 32", "-D INPUT 31", "-A INPUT -m connmark --mark 0x0 -j ACCEPT"}},
	{"a list of addresses begins empty", ":INPUT ACCEPT [0:0]\n" + filler("INPUT") +
		"-A INPUT " + some + "-m recent --name list --set\n",
		[]string{"-D INPUT 31", "-A INPUT " + some + "-m recent --name list --rcheck -j DROP"}},
	{"a limit begins anew", ":INPUT ACCEPT [0:0]\n" + filler("INPUT") +
		"-A INPUT " + some + "-m limit --limit 1/day --limit-burst 1 -j ACCEPT\n-A INPUT " + some + "-j DROP\n",
		[]string{"-A INPUT -s 203.0.113.3 -j DROP", "-D INPUT 1", "-P INPUT DROP", "-C INPUT -j DROP"}},
	{"counting begins anew", ":INPUT ACCEPT [0:0]\n" + filler("INPUT") +
		"-A INPUT " + some + "-m statistic --mode nth --every 2 --packet 0 -j DROP\n",
		[]string{"-A INPUT -s 203.0.113.3 -j DROP", "-D INPUT 1", "-P INPUT DROP"}},
	{"what rules remember goes on when another table changes", ":INPUT ACCEPT [0:0]\n" + filler("INPUT") +
		"-A INPUT " + some + "-m limit --limit 1/hour --limit-burst 6 -m limit --limit 1/hour --limit-burst 7\n-A INPUT " + some + "-m statistic --mode nth --every 3 --packet 1\n",
		[]string{"-t security -A INPUT -p tcp -j DROP", "-t security -P INPUT ACCEPT", "-t security -I INPUT 1 " + more, "-D INPUT 1", "-t security -D INPUT 1"}},
	{"a rule that nothing matches", ":INPUT ACCEPT [0:0]\n" + filler("INPUT"),
		[]string{"-I INPUT 1 -m length ! --length 0:65535 -j DROP", "-I INPUT 2 " + some + "-j DROP", "-D INPUT 1", "-R INPUT 1 -m length ! --length 0:65535", "-I INPUT 1 -m addrtype --src-type LOCAL"}},
	{"short chains lead to a long one", ":INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:one - [0:0]\n:two - [0:0]\n:long - [0:0]\n" +
		filler("long") + "-A INPUT -j one\n-A OUTPUT -j one\n-A one -p udp -j two\n-A two -j long\n" +
		"-A long -p tcp -m tcp --tcp-option 2 -j REJECT\n-A long -m recent --name long --set\n-A long -m addrtype --src-type LOCAL\n" +
		"-A long -m conntrack --ctorigdst 198.18.0.1 -m limit --limit 1/s -j NFLOG --nflog-group 3\n",
		[]string{"-A long " + some + "-j DROP", "-I two 1 " + more + "-j ACCEPT"}},
	{"chains of code above a long one", ":OUTPUT ACCEPT [0:0]\n:a - [0:0]\n:b - [0:0]\n:c - [0:0]\n:long - [0:0]\n" + filler("long") +
		"-A OUTPUT -j a\n-A a -m owner --uid-owner 0 -j b\n-A b -m owner ! --uid-owner 1 -j c\n-A c -p udp -j long\n-A c -p tcp -j long\n",
		[]string{"-A long " + some + "-j DROP", "-I a 1 " + more + "-j ACCEPT"}},
	{"several addresses", ":INPUT ACCEPT [0:0]\n" + filler("INPUT"),
		[]string{"-I INPUT 3 -s 192.0.2.1,198.18.0.2,192.0.2.3 " + some + "-j DROP", "-D INPUT -s 192.0.2.1,198.18.0.2,192.0.2.3 " + some + "-j DROP",
			"-D INPUT -s 192.0.2.1,192.0.2.4 -j DROP"}},
	{"what is not there", ":INPUT ACCEPT [0:0]\n" + filler("INPUT"),
		[]string{"-D INPUT 31", "-D INPUT 0", "-R INPUT 31 -j DROP", "-I INPUT 33 -j DROP", "-D INPUT -j DROP", "-A none -j DROP", "-A INPUT -j none",
			"-P none DROP", "-P INPUT none", "-I INPUT 31 " + some + "-j DROP", "-D FORWARD 1"}},
	{"limits come and go", ":INPUT ACCEPT [0:0]\n:user - [0:0]\n" + filler("INPUT") + "-A INPUT -j user\n-A user " + more + "-j DROP\n",
		[]string{"-I user 1 " + some + "-m limit --limit 1/day --limit-burst 2 -j ACCEPT", "-I user 1 " + more + "-m limit --limit 1/day --limit-burst 1 -m limit --limit 1/day --limit-burst 3 -j ACCEPT",
			"-D user 2", "-I user 1 " + more + "-m limit --limit 1/day --limit-burst 2 -j ACCEPT", "-F user", "-A user " + some + "-m limit --limit 1/day -j DROP"}},
	{"counting comes and goes", ":INPUT ACCEPT [0:0]\n" + filler("INPUT"),
		[]string{"-A INPUT " + some + "-m statistic --mode nth --every 3 --packet 1 -j DROP", "-I INPUT 1 " + some + "-m statistic --mode nth --every 2 --packet 0",
			"-D INPUT 1", "-A INPUT " + more + "-m statistic --mode nth --every 2 --packet 1 -j DROP", "-A INPUT -m statistic --mode random --probability 1.0 -j DROP"}},
	{"logs come to a table that has targets", ":INPUT ACCEPT [0:0]\n:user - [0:0]\n" + filler("INPUT") + "-A INPUT -s 203.0.113.1 -j REJECT\n-A INPUT -j user\n",
		[]string{"-I INPUT 1 " + some + log, "-I INPUT 1 " + more + "-m limit --limit 1/day --limit-burst 2 " + log, "-A user " + log, "-I user 1 -j RETURN", "-D user 1",
			"-A user " + some + "-j user", "-N late", "-A late " + log, "-A late " + some + "-j DROP", "-A user -j late", "-R user 1 -j REJECT", "-D INPUT 1"}},
	{"a chain has rules before packets come there", ":INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:unmet - [0:0]\n" + filler("INPUT") + "-A unmet " + some + "-j DROP\n-A unmet -o eth0\n",
		[]string{"-I unmet 1 " + more, "-A INPUT -j unmet", "-D INPUT -j unmet", "-A OUTPUT -j unmet", "-Z unmet 2", "-E unmet met", "-X met", "-F met", "-X met", "-F", "-X met", "-N met", "-Z"}},
	{"rings of chains", ":INPUT ACCEPT [0:0]\n:a - [0:0]\n:b - [0:0]\n:c - [0:0]\n" + filler("INPUT") + "-A INPUT -j a\n-A a -j b\n-A b -j c\n",
		[]string{"-A c -j a", "-A b -j a", "-A INPUT -j c", "-A a -j c", "-A c " + some + "-j DROP", "-A a -j a"}},
}

// TestCases sends the same packets before and after every step.
func TestCases(t *testing.T) {
	program := prepare(t)
	all := newDuo(t, packet.IPv4, program, nil)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := *all
			d.T, d.said = t, nil
			d.batch("*filter\n" + c.rules + "COMMIT\n")
			d.knock()
			if status, _ := d.run(&d.ours, "", program, "status"); !strings.Contains(status, "filter    bpf") {
				t.Fatal(status)
			}
			for _, step := range c.steps {
				before := d.generation()
				d.single(strings.Fields(step)...)
				if d.generation() == before {
					t.Logf("in place: %s", step)
				}
				d.compare()
				d.knock()
			}
		})
	}
}

// knock sends a few packets to ports that the cases are about.
func (d *duo) knock() {
	d.Helper()
	var out []*lab.Packet
	for _, text := range []string{
		"udp 198.18.0.2:5001 > 198.18.0.1:1001 in eth0", "udp 198.18.0.2:5001 > 198.18.0.1:1001 in eth0",
		"udp 198.18.0.2:5005 > 198.18.0.1:1005 in eth0", "udp 198.18.0.2:5009 > 198.18.0.1:1009 in eth0",
		"udp 198.18.0.2:5010 > 198.18.1.2:1001 in eth0", "@udp udp 198.18.0.1:5011 > 198.18.1.2:1001",
	} {
		p, err := lab.Parse(packet.IPv4, text)
		if err != nil {
			d.Fatal(err)
		}
		out = append(out, p)
	}
	d.send(out)
	d.compare()
}
