package commands

import (
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestLeftLater changes a table that single commands have made, and that a rule of another one left to netfilter: a list
// of -m recent has one owner. What it is given from then on is for netfilter.
func TestLeftLater(t *testing.T) {
	program := prepare(t)
	d := newDuo(t, packet.IPv4, program, nil)
	for _, line := range []string{
		"-A INPUT -s 192.0.2.1 -j DROP", "-t mangle -A INPUT -p tcp -m recent --name b --set",
		`-t nat -A OUTPUT -p tcp -m recent --name b --rcheck -m bpf --bytecode "1,6 0 0 65535" -j ACCEPT`,
		"-t mangle -A INPUT -p udp -m udp --dport 9 -j DROP", "-t mangle -N new", "-t mangle -A new -p udp -m udp --dport 10 -j DROP", "-t mangle -A INPUT -j new",
		"-t mangle -D INPUT 2", "-t mangle -P FORWARD DROP", "-t nat -F", "-t mangle -I INPUT -p udp -m udp --dport 9 -j DROP",
	} {
		d.single(words(line)...)
		for _, text := range []string{"udp 198.18.0.50:5000 > 198.18.0.1:9 in eth0", "udp 198.18.0.50:5000 > 198.18.0.1:10 in eth0", "udp 198.18.0.50:5000 > 198.18.1.50:9 in eth0"} {
			p, err := lab.Parse(packet.IPv4, text)
			if err != nil {
				t.Fatal(err)
			}
			d.send([]*lab.Packet{p})
		}
		d.compare()
	}
}

// TestLastTracked takes the last rule away that needs connection tracking: the kernel puts no fragments together from then on,
// and a single one is forwarded.
func TestLastTracked(t *testing.T) {
	program := prepare(t)
	d := newDuo(t, packet.IPv6, program, nil)
	for _, line := range []string{
		"-A INPUT -s 2001:db8::1 -j DROP", "-A INPUT -m conntrack --ctstate ESTABLISHED", "-t mangle -A INPUT -m connmark --mark 0x1", "-D INPUT 2", "-t mangle -F INPUT",
		"-A FORWARD -m conntrack --ctstate INVALID", "-R FORWARD 1 -p udp",
	} {
		d.single(words(line)...)
		for _, text := range []string{"udp [2001:db8:1ab::50]:5000 > [2001:db8:1ab:1::50]:9 in eth0", "tcp [2001:db8:1ab::36]:8080 > [2001:db8:1ab:2::3b]:53 flags fin,ack ext frag:6/597827834 in eth0"} {
			p, err := lab.Parse(packet.IPv6, text)
			if err != nil {
				t.Fatal(err)
			}
			d.send([]*lab.Packet{p})
		}
		d.compare()
	}
}

// TestLastMeter takes the last rule away that names a table of hashlimit: it begins anew with the next one.
func TestLastMeter(t *testing.T) {
	program := prepare(t)
	d := newDuo(t, packet.IPv4, program, nil)
	const rule = "INPUT -p udp -m hashlimit --hashlimit-upto 2/hour --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name h -j DROP"
	for _, line := range []string{
		"-A INPUT -s 192.0.2.1 -j DROP", "-A " + rule, "-A FORWARD -s 192.0.2.1", "-D " + rule, "-A " + rule, "-A FORWARD " + strings.TrimPrefix(rule, "INPUT "), "-D " + rule,
		"-F FORWARD", "-I " + rule, "-F", "-N u", "-A u " + strings.TrimPrefix(rule, "INPUT "), "-A " + rule, "-F u", "-A INPUT -j ACCEPT", "-F INPUT", "-A " + rule,
	} {
		d.single(words(line)...)
		for range 3 {
			p, err := lab.Parse(packet.IPv4, "udp 198.18.0.2:5000 > 198.18.0.1:9 in eth0")
			if err != nil {
				t.Fatal(err)
			}
			d.send([]*lab.Packet{p})
		}
		d.compare()
	}
}
