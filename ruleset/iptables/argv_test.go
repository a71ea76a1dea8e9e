package iptables_test

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// commandLines are run one after the other, by us and by the real tool. Arguments are
// cut at blanks; "_" stands for an empty one, "~" inside one for a blank.
const commandLines = `
-N web
-N web
-A INPUT -p tcp --dport 80 -j web
-A INPUT -p tcp -m multiport --dports 1,2 -m comment --comment a~"b\c -j ACCEPT
-A INPUT -m comment --comment _ -j ACCEPT
-I INPUT -s 192.0.2.1,192.0.2.2 -d 198.51.100.0/24 -j DROP
-I INPUT 3 -i lo -j RETURN
-I INPUT 99 -i lo -j RETURN
-R INPUT 1 -s 192.0.2.9 -j DROP
-R INPUT 99 -s 192.0.2.9 -j DROP
-R INPUT -s 192.0.2.9 -j DROP
-R INPUT 1 -s 192.0.2.1,192.0.2.2 -j DROP
-C INPUT -i lo -j RETURN
-C INPUT -i lo -j ACCEPT
-D INPUT -i lo -j ACCEPT
-D INPUT -i lo -j RETURN
-D INPUT 99
-D INPUT 1
-X web
-A web -p udp -c 5 500 -j ACCEPT
-A web -c 5 -p udp -j ACCEPT
-A web -j web
-E web www
-E nochain www
-E INPUT www
-L nochain -n
-L INPUT -n --line-numbers
-L -v -n -x
-S www
-S nochain
-S -v
-S INPUT 1
-A INPUT -j NOSUCH
-A INPUT -g nosuch
-A nochain -j ACCEPT
-A FORWARD -j INPUT
-A INPUT -o eth0 -j ACCEPT
-A OUTPUT -i eth0 -j ACCEPT
-A INPUT --dport 22
-A INPUT -p tcp --dport nosuchservice
-A INPUT -s 192.0.2.300 -j ACCEPT
-A INPUT -j ACCEPT -L
-A INPUT stray
-A INPUT -m nosuch
-A
-P INPUT DROP
-P INPUT REJECT
-P INPUT
-P www DROP
-P nochain DROP
-t raw -A PREROUTING -j NOTRACK
-A PREROUTING -j NOTRACK
-A PREROUTING -j NOTRACK -t raw
--table=raw -S
-t nosuch -S
-t
-t nat -P OUTPUT DROP
-w -S
-w 5 -S
-w5 -S
--wait=5 -S
-w x -S
-w -1 -S
-W 100 -w 1 -S
-Z INPUT
-Z www 1
-Z www 9
-Z nochain
-Z
-S -v
-F INPUT
-F nochain
-X www
-F
-X
-X INPUT
-S
-4 -S
-6 -S
-V
-h
--list-rules INPUT
--lis
--append INPUT --protocol tcp --destination-port 99 --jump ACCEPT
--nonsense
-S -n
-N -x
-N LOG
-N ACCEPT
-N abcdefghijklmnopqrstuvwxyzabcd
-A INPUT ! -s 192.0.2.1 ! -p udp -j ACCEPT
! -A INPUT
-A INPUT ! -j ACCEPT
-A INPUT -p tcp -p udp
-S
`

func TestArgvAsIptables(t *testing.T) {
	haveOracle(t)
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		t.Run(family.String(), func(t *testing.T) { compareCommands(t, newOracle(t, family), family) })
	}
}

func compareCommands(t *testing.T, o *oracle, family packet.Family) {
	lines := commandLines
	if family == packet.IPv6 {
		lines = strings.NewReplacer("192.0.2.", "2001:db8::", "198.51.100.0/24", "2001:db8:1::/48",
			"-4 -S", "-6 -S", "-6 -S", "-4 -S").Replace(lines)
	}
	rs := &ruleset.Ruleset{Family: family}
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		args := strings.Fields(line)
		for i, a := range args {
			args[i] = strings.ReplaceAll(strings.ReplaceAll(a, "~", " "), "_", "")
		}
		wantOut, wantErr, err := o.run("", "", args...)
		want := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			want = exit.ExitCode()
		}
		var out bytes.Buffer
		after, code, err := runArgv(args, rs, &out)
		if code != want {
			t.Errorf("%s: exit code %d (%v), of iptables %d: %s", line, code, err, want, wantErr)
		}
		if code == 0 && want == 0 {
			rs = after
		}
		if code == 0 && strings.ContainsAny(line, "SL") && out.String() != wantOut {
			t.Errorf("%s: prints\n%s, iptables\n%s", line, &out, wantOut)
		}
	}
}

// runArgv gives the exit code as a command does.
func runArgv(args []string, base *ruleset.Ruleset, out *bytes.Buffer) (*ruleset.Ruleset, int, error) {
	o := iptables.Options{Family: base.Family, Resolver: iptables.NewResolver(), Base: base, Output: out}
	a, err := iptables.ParseArgv(args, o)
	after := base
	if err == nil && !a.Help && !a.Version {
		after, _, err = a.Run(o)
	}
	switch {
	case err == nil:
		return after, 0, nil
	case errors.Is(err, iptables.ErrUsage):
		return nil, 2, err
	case errors.Is(err, iptables.ErrNoTable):
		return nil, 3, err
	}
	return nil, 1, err
}

// TestListPolicyCounters: listings show what policies have counted, and what a text gives them.
func TestListPolicyCounters(t *testing.T) {
	base := tables.New("filter", packet.IPv4)
	base.Chain("OUTPUT").Counters = ruleset.Counters{Packets: 4, Bytes: 336}
	rs := &ruleset.Ruleset{Family: packet.IPv4, Tables: []*ruleset.Table{base}}
	for args, want := range map[string]string{
		"-L OUTPUT -v -n -x": "Chain OUTPUT (policy ACCEPT 4 packets, 336 bytes)\n",
		"-S OUTPUT -v":       "-P OUTPUT ACCEPT -c 4 336\n",
	} {
		var out bytes.Buffer
		if _, code, err := runArgv(strings.Fields(args), rs, &out); code != 0 || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s: exit code %d (%v):\n%swant %s", args, code, err, &out, want)
		}
	}
}
