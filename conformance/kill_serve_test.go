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
	for name, what := range map[string]string{"our table is put back": killedMending, "an interface is followed": killedFollowing} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("unshare", "-nmpf", "--kill-child", "--mount-proc", "bash", "-c", killedServer+what+killedPoints)
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "B="+binary, "BPFTABLES_IPTABLES=legacy")
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
# closed WHEN: what the rules drop is dropped
closed() { [ $(passes 9)$(passes 11) = nono ] || says "$1: packets pass that the rules drop"; }
`

// Each says: prepare, what happens to the host, when the server is done with it, and what a
// command leaves that comes after a kill.
const (
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
	until ready || ! kill -0 $pid 2>/dev/null; do closed "point $1"; [ $SECONDS -lt $end ] || { says "point $1: neither done nor killed"; break; }; done
	kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null; exec {out}<&-; wait $reader
}
prepare; : > log
serve '?'
points=$(grep -c '^step #' log)
[ $points -gt 0 ] || says "the server comes to no step: $(cat log)"
for ((p = 1; p <= points; p++)); do
	alone flush --all -w; prepare; closed "before point $p"; : > log
	serve "#$p"
	grep 'killed at' log
	grep -q 'panic\|goroutine' log && says "point $p: $(head -5 log)"
	closed "killed at point $p"
	alone save > /dev/null || says "point $p: save fails"
	after "point $p"
	closed "after point $p"
done
`
)
