package cli_test

import (
	"regexp"
	"testing"
)

// recentScript gives the kernel's list and ours the same writes and the same packets.
const recentScript = `
ip addr add 192.0.2.1/24 dev lo; ip -6 addr add 2001:db8::1/64 dev lo nodad
I() { if [ "$side" = ours ]; then $B iptables "$@"; else iptables-legacy "$@"; fi; }
I6() { if [ "$side" = ours ]; then $B ip6tables "$@"; else ip6tables-legacy "$@"; fi; }
list() { if [ "$side" = ours ]; then $B recent ban; else cat /proc/net/xt_recent/ban; fi | sort; }
put() { # what is written, and how it went
	echo "write $1"
	if [ "$side" = ours ]; then printf %s "$1" | $B recent ban write; else printf %s "$1" >/proc/net/xt_recent/ban; fi 2>&1 | sed 's/.*[Ii]nvalid argument.*/invalid/'
	list
}
from() { ping -c1 -W1 -I "$1" "${2:-192.0.2.1}" >/dev/null 2>&1 && echo "$1 passes" || echo "$1 does not pass"; }
I -A INPUT -m recent --update --seconds 600 --name ban --rsource -j DROP
I6 -A INPUT -m recent --rcheck --name ban -j DROP
list
put +192.0.2.1
from 192.0.2.1
list
put '+192.0.2.7
'
put +192.0.2.7
put -192.0.2.9
put -192.0.2.1
from 192.0.2.1
put +2001:db8::1
from 2001:db8::1 2001:db8::1
put -2001:db8::1
from 2001:db8::1 2001:db8::1
put 192.0.2.1
put +nobody
put +192.0.2
put /
for i in $(seq 1 60); do put +198.51.100.$i; put +2001:db8:1::$i; done >/dev/null
list
`

// TestRecent: a list of ours is read and written as the kernel's file of it is.
func TestRecent(t *testing.T) {
	out := map[string]string{}
	for _, side := range []string{"netfilter", "ours"} {
		out[side] = regexp.MustCompile(`\d{6,}`).ReplaceAllString(alone(t, "side="+side+"\n"+recentScript), "T")
	}
	if out["ours"] != out["netfilter"] {
		t.Errorf("got\n%s\nwant\n%s", out["ours"], out["netfilter"])
	}
	for _, want := range []string{`src=192.0.2.1 ttl: 64 last_seen: T oldest_pkt: 2 T, T`, "192.0.2.1 does not pass", "2001:db8::1 does not pass", "invalid"} {
		if !regexp.MustCompile(want).MatchString(out["ours"]) {
			t.Errorf("no %q in\n%s", want, out["ours"])
		}
	}
}

// TestRecentOfNetfilter: the same command reads and writes the kernel's own lists, and names all.
func TestRecentOfNetfilter(t *testing.T) {
	faults(t, alone(t, `
iptables-legacy -A OUTPUT -m recent --rcheck --name theirs
$B iptables -A INPUT -m recent --rcheck --name ours
[ "$($B recent)" = "$(printf 'ours\ntheirs')" ] || says "names: $($B recent)"
$B recent theirs add 192.0.2.1
[ "$($B recent theirs)" = "$(cat /proc/net/xt_recent/theirs)" ] || says "$($B recent theirs)"
$B recent theirs flush; [ -z "$(cat /proc/net/xt_recent/theirs)" ] || says "not empty"
$B recent none add 192.0.2.1 2>/dev/null && says "a list that is not there is written"
$B recent none 2>/dev/null && says "a list that is not there is read"
$B recent ours add 2>/dev/null && says "no address is an address"
$B iptables -F
[ -z "$($B recent ours 2>/dev/null)" ] || says "a list outlives its rules"
`))
}
