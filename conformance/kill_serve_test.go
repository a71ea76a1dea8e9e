package conformance_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What the server does on its own is killed at each of its steps: packets meet the rules or are
// dropped, never less than that, and the next command puts right what is left.
func TestKilledServer(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	for name, what := range map[string]string{
		"our table is put back": killedMending, "an interface is followed": killedFollowing,
		"pins are put back": killedReviving, "the early stage is made anew": killedRenewing,
		"dead namespaces are swept": killedReaping, "sets and rows are swept": killedTending,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("unshare", "-nmpf", "--kill-child", "--mount-proc", "bash", "-c", killedServer+what+killedPoints)
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "B="+binary, "BPFTABLES_IPTABLES=legacy")
			if *everyStep {
				cmd.Env = append(cmd.Env, "EVERY=1")
			}
			out, err := cmd.CombinedOutput()
			if err != nil || strings.Contains(string(out), "FAULT: ") || !strings.Contains(string(out), "killed at #1 ") {
				t.Errorf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

const killedServer = `
mount -t tmpfs -o mode=755 none /run || exit 1
ip link set lo up
says() { echo "FAULT: $*"; }
passes() { (echo x > /dev/udp/127.0.0.1/$1) 2>/dev/null && echo yes || echo no; }
alone() { BPFTABLES_NO_SERVE=1 $B "$@"; }
printf '*filter\n-A OUTPUT -p udp --dport 9 -j REJECT\n-A OUTPUT -p udp --dport 10 -j LOG
	-A OUTPUT -p udp --dport 11 -m conntrack --ctstate NEW -j DROP\nCOMMIT\n' | tr -d '\t' > rules
printf '*filter\n-A OUTPUT -p udp --dport 9 -j DROP\n-A OUTPUT -p udp --dport 11 -j DROP\n-A INPUT -p udp --dport 12 -j DROP\nCOMMIT\n' > plain
# killed WHEN: what holds after a kill
killed() { closed "$@"; }
every=1 # a case that takes long is killed at each third point, unless -every-step is given
# saves: other commands work with what a kill leaves
saves() { alone save > /dev/null; }
# closed WHEN: what the rules drop is dropped
closed() { [ $(passes 9)$(passes 11) = nono ] || says "$1: packets pass that the rules drop"; }
`

// Each says: prepare, what happens to the host, when the server is done with it, and what a
// command leaves that comes after a kill.
const (
	killedReviving = `
every=3
prepare() { alone restore -w < rules; }
happens() { rm -r /run/bpftables/bpf/[0-9]* 2>/dev/null; }
ready() { alone status | grep -q "netfilter's part is unchanged"; }
saves() { alone status > /dev/null; }
killed() { :; } # who removes pins and kills the server has taken the rules from the kernel
after() { alone iptables -w -t raw -N new; ready || says "$1: the next command does not put it back"; [ $(passes 10) = yes ] || says "$1: what is logged does not pass"; }
`
	killedRenewing = `
every=3
ip link add w0 type veth peer name w1; ip link set w0 up
{ echo '*filter'; for i in {1..60}; do echo "-A INPUT -s 192.0.2.$i -p udp --dport $i -j DROP"; done; tail -n +2 plain; } > long
prepare() { alone restore -w --early tcx < long; alone iptables -w -I INPUT -s 203.0.113.9 -j DROP; }
happens() { :; }
ready() { alone status | grep -q '^ipv4: generation 2,'; }
after() { alone iptables -w -D INPUT -s 203.0.113.9 -j DROP || says "$1: a rule is lost"; }
`
	killedReaping = `
prepare() { alone restore -w < plain; for i in 1 2; do unshare -n bash -c 'BPFTABLES_NO_SERVE=1 $B restore -w' < plain; done; }
happens() { :; }
ready() { [ $(ls -d /run/bpftables/bpf/[0-9]*/ipv4/links | wc -l) = 1 ]; }
after() { alone iptables -w -t raw -N new; ready || says "$1: the next command leaves what is dead"; }
`
	killedTending = `
{ echo '*filter'; for i in {1..60}; do echo "-A INPUT -s 192.0.2.$i -p udp --dport $i -j DROP"; done; echo '-A INPUT -p udp --dport 13 -m recent --name r --set'; tail -n +2 plain; } > long
prepare() {
	alone restore -w < long
	for i in {1..17}; do alone iptables -w -D INPUT -s 192.0.2.$i -p udp --dport $i -j DROP; done
	alone save > kept
}
happens() { :; }
ready() { grep -q 'step #[0-9]* rows reclaimed' log; }
after() { alone save | grep -v '^#' | cmp -s - <(grep -v '^#' kept) || says "$1: other rules"; alone iptables -w -A INPUT -s 192.0.2.1 -j DROP || says "$1: no change"; }
`
	killedMending = `
prepare() { alone restore -w < rules; }
happens() { nft flush ruleset; }
ready() { alone status | grep -q "netfilter's part is unchanged"; }
after() { alone iptables -w -t raw -N new; ready || says "$1: the next command does not put it back"; [ $(passes 10) = yes ] || says "$1: what is logged does not pass"; }
`
	killedFollowing = `
prepare() { ip link del v0 2>/dev/null; alone restore -w --early tcx < plain; }
happens() { ip link add v0 type veth peer name v1; ip link set v0 up; }
ready() { alone status | grep -q '^ *v0 *tcx'; }
after() { alone restore -w --early tcx < plain; ready || says "$1: the next command does not attach it"; }
`
	killedPoints = `
serve() { # POINT: until it is done, or killed
	coproc SERVE { BPFTABLES_FAILPOINT=$1 exec $B serve 2>&1; }
	pid=$SERVE_PID
	exec {out}<&${SERVE[0]}
	while read -r line <&$out; do echo "$line" >> log; [[ $line == *"serving on"* ]] && break; done
	cat <&$out >> log & reader=$!
	happens
	end=$((SECONDS + 60))
	until ready || ! kill -0 $pid 2>/dev/null; do told=$(closed "point $1"); [ -z "$told" ] || { sleep 1; grep -q 'killed at' log || echo -n "$told"; }; [ $SECONDS -lt $end ] || { says "point $1: neither done nor killed"; break; }; done
	kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null; exec {out}<&-; wait $reader
}
prepare; : > log
serve '?'
points=$(grep -c '^step #' log)
[ $points -gt 0 ] || says "the server comes to no step: $(cat log)"
# Of points with the same name the first and the last are enough.
for p in $(sed -n 's/^step #//p' log | awk '{ n = $1; $1 = ""; if (!($0 in first)) first[$0] = n; last[$0] = n }
	END { for (i in first) { print first[i]; if (last[i] != first[i]) print last[i] } }' | sort -n | awk "NR % ${EVERY:-$every} == 1 % ${EVERY:-$every}"); do
	alone flush --all -w; prepare; closed "before point $p"; : > log
	serve "#$p"
	grep 'killed at' log
	grep -q 'panic\|goroutine' log && says "point $p: $(head -5 log)"
	killed "killed at point $p"
	saves || says "point $p: other commands fail"
	after "point $p"
	closed "after point $p"
done
`
)
