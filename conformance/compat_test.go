package conformance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/box"
)

// inBox runs a script that changes the host on none (package box), and gives what it prints.
func inBox(t *testing.T, script string, env ...string) string {
	t.Helper()
	cmd := box.Command(t.TempDir(), script)
	cmd.Env = append(append(os.Environ(), "BPFTABLES_NO_SERVE=1", "XTABLES_LOCKFILE="), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// heldBefore are rules of both tools, of which one drops what the probe sends.
const heldBefore = `
iptables-nft -A INPUT -p icmp -j DROP
iptables-nft -t nat -A POSTROUTING -o eth0 -j MASQUERADE
ip6tables-legacy -P FORWARD DROP
ip6tables-legacy -A INPUT -s 2001:db8::1 -j LOG
closed() { ping -c 1 -W 0.2 127.0.0.1 >/dev/null && echo "OPEN $1"; }
texts() {
	for f in iptables ip6tables; do for v in nft legacy; do echo $f-$v; $f-$v-save 2>/dev/null | grep -v '^#'; done; done | sed 's/\[.*\]//' | grep -v '^:.* ACCEPT\|^[*]\|COMMIT'
	readlink /etc/alternatives/iptables /etc/alternatives/ip6tables-save
	ls /var/lib/bpftables /etc/bpftables 2>/dev/null
	bpftables status | grep ^ipv
}
`

// TestCompat switches a host over and back, with the rules that it has: the same rules at every moment, and
// in the end where they were.
func TestCompat(t *testing.T) {
	needRoot(t)
	bin := compatBinaries(t)
	out := inBox(t, heldBefore+`
texts > /run/before
closed before
bpftables install-compat || echo FAILED install
closed installed
iptables -S INPUT; ip6tables-save | grep -v '^#'; iptables --version; BPFTABLES_DIALECT=legacy iptables --version
bpftables status | grep -A 1 ^names
iptables-nft -S INPUT | grep icmp && echo LEFT
iptables -A INPUT -s 192.0.2.8 -j DROP
iptables-nft -A INPUT -s 192.0.2.9 -j DROP
echo warned; bpftables iptables -A INPUT -s 192.0.2.10 -j DROP 2>&1
echo silent; iptables -A INPUT -s 192.0.2.11 -j DROP
iptables-nft -D INPUT -s 192.0.2.9 -j DROP
for n in 8 10 11; do iptables -D INPUT -s 192.0.2.$n -j DROP; done
bpftables remove-compat || echo FAILED remove
closed removed
texts | diff /run/before - && echo SAME
`, bin)
	for _, want := range []string{
		"-A INPUT -p icmp -j DROP\n", "-A INPUT -s 2001:db8::1/128 -j LOG\n", ":FORWARD DROP [0:0]\n", "iptables v1.8.9 (nf_tables)\niptables v1.8.9 (legacy)\nnames: iptables and the others stand for ", ", and speak as iptables-nft does\nkernel\n", "\nSAME\n",
		"warned\nbpftables: warning: iptables-nft: table filter, 1 rule; they go on being enforced", "'bpftables takeover'\nsilent\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	for _, bad := range []string{"OPEN", "FAILED", "LEFT", "silent\nbpftables"} {
		if strings.Contains(out, bad) {
			t.Errorf("%s:\n%s", bad, out)
		}
	}
}

// TestKilledCompat kills install-compat and remove-compat at steps on their way: the probe is dropped at every
// moment, the next run completes, and remove-compat undoes.
func TestKilledCompat(t *testing.T) {
	needRoot(t)
	bin := compatBinaries(t, "-tags", "failpoints")
	every := "0~6"
	if *everyStep {
		every = "1~1"
	}
	out := inBox(t, heldBefore+`
texts > /run/before
point() { { BPFTABLES_FAILPOINT=$1 bpftables $2 2>&1; } 2>/dev/null; }
steps() { # of a command: those of this package's own steps, and some of the others
	point '?' $1 | sed -n 's/^step //p' | awk '$2 ~ /^(compat|made|remembered|enforced|removed|giving|given)$/ || NR % 40 == 0 {print $1}' | sed -n "`+every+`p"
}
forward=$(steps install-compat); backward=$(steps remove-compat)
texts | diff /run/before - || echo NOT GIVEN BACK
for p in $forward; do
	point $p install-compat | grep -q 'killed at' || echo "NOT KILLED at $p"
	closed "install-compat killed at $p"
	bpftables install-compat >/dev/null || echo "NOT COMPLETED after $p"
	closed "completed after $p"
	[ "$(readlink -f /usr/sbin/iptables)" = "$(readlink -f $(which xtables-bpf-multi))" ] || echo "NOT OURS after $p"
	iptables-nft -S INPUT | grep icmp && echo "LEFT after $p"
	bpftables remove-compat >/dev/null || echo "NOT REMOVED after $p"
	texts | diff /run/before - || echo "NOT GIVEN BACK after $p"
	point $p install-compat >/dev/null
	bpftables remove-compat >/dev/null || echo "NOT UNDONE after $p"
	closed "undone after $p"
	texts | diff /run/before - || echo "NOT UNDONE after $p"
done
for p in $backward; do
	bpftables install-compat >/dev/null
	point $p remove-compat | grep -q 'killed at' || echo "NOT KILLED at $p"
	closed "remove-compat killed at $p"
	bpftables remove-compat >/dev/null || echo "NOT REMOVED after $p"
	closed "removed after $p"
	texts | diff /run/before - || echo "NOT GIVEN BACK after $p"
done
echo killed at $(echo $forward $backward | wc -w) steps
`, bin)
	if strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "killed at ") || strings.HasPrefix(out, "killed at 0 ") {
		t.Error(out)
	}
}

// TestCallersMeanwhile switches a host over and back while others add rules all the time: each rule is there in
// the end, once.
func TestCallersMeanwhile(t *testing.T) {
	needRoot(t)
	bin := compatBinaries(t)
	for _, serve := range []string{"", "BPFTABLES_NO_SERVE= bpftables serve 2>/run/serving & until grep -q 'serving on' /run/serving; do :; done"} {
		out := inBox(t, serve+`
export BPFTABLES_NO_SERVE=`+map[bool]string{true: "1"}[serve == ""]+`
caller() { for i in $(seq 1 150); do iptables -w 60 -A INPUT -s 10.$1.0.$i -j DROP || echo "FAILED $1 $i"; done; }
for n in 1 2 3 4; do caller $n & callers="$callers $!"; done
count() { iptables-save | grep -c -- '-A INPUT -s 10'; }
until [ "$(count)" -ge 60 ]; do :; done
bpftables install-compat >/run/said 2>&1 || { echo FAILED install-compat; cat /run/said; }
iptables --version
until [ "$(count)" -ge 300 ]; do :; done
bpftables remove-compat >/run/said 2>&1 || { echo FAILED remove-compat; cat /run/said; }
wait $callers
bpftables status | grep ^ipv
iptables-nft-save | grep -- '-A INPUT -s 10' | sort -u | wc -l; iptables-nft-save | grep -c -- '-A INPUT -s 10'
`, bin)
		if want := "iptables v1.8.9 (nf_tables)\nipv4: nothing of ours is enforced\nipv6: nothing of ours is enforced\n600\n600\n"; out != want {
			t.Errorf("server %q:\n%s\nwant\n%s", serve, out, want)
		}
	}
}

// TestDiverted: where the plain names are the only ones that netfilter's tools have, their programs are moved aside, and
// bpftables still finds them there: rules are taken and given back.
func TestDiverted(t *testing.T) {
	needRoot(t)
	bin := compatBinaries(t)
	for kind, without := range map[string]string{"dpkg": "", "plain": "rm /usr/bin/update-alternatives /usr/bin/dpkg-divert"} {
		out := inBox(t, `
update-alternatives --quiet --remove-all iptables; update-alternatives --quiet --remove-all ip6tables
`+without+`
rm -f /usr/sbin/ip*tables*-nft* /usr/sbin/ip*tables*-legacy* /usr/sbin/xtables-legacy-multi
for f in iptables ip6tables; do for p in "" -save -restore; do ln -sf xtables-nft-multi /usr/sbin/$f$p; done; done
iptables -A INPUT -p icmp -j DROP
ip6tables -t mangle -A PREROUTING -s 2001:db8::1 -j DROP
texts() { iptables-save; ip6tables-save; ls -l --time-style=+ /usr/sbin/ip*tables*; ls /var/lib/bpftables; dpkg-divert --list '*iptables*'; } 2>&1
texts | grep -v '^#' > /run/before
bpftables install-compat >/dev/null || echo FAILED install-compat
iptables --version; iptables -S INPUT; ip6tables -t mangle -S PREROUTING
iptables -t raw -A PREROUTING -s 192.0.2.1 -j DROP
ln -sf xtables-nft-multi /usr/sbin/ip6tables
bpftables status | grep -c '  but not /usr/sbin/ip6tables: '
bpftables install-compat | grep -c 'let /usr/sbin/ip6tables be a link'
bpftables remove-compat >/dev/null || echo FAILED remove-compat
iptables -t raw -S PREROUTING
nft delete table ip raw
texts | grep -v '^#' | diff /run/before - && echo SAME
`, bin)
		want := "iptables v1.8.9 (nf_tables)\n-P INPUT ACCEPT\n-A INPUT -p icmp -j DROP\n-P PREROUTING ACCEPT\n-A PREROUTING -s 2001:db8::1/128 -j DROP\n1\n1\n" +
			"-P PREROUTING ACCEPT\n-A PREROUTING -s 192.0.2.1/32 -j DROP\nSAME\n"
		if out != want {
			t.Errorf("%s:\n%s\nwant\n%s", kind, out, want)
		}
	}
}

// TestPersistent stores and loads rules through the plugin of netfilter-persistent, if the names are ours.
func TestPersistent(t *testing.T) {
	needRoot(t)
	bin := compatBinaries(t)
	plugin, err := filepath.Abs("../packaging/netfilter-persistent")
	if err != nil {
		t.Fatal(err)
	}
	out := inBox(t, `
plugin=`+plugin+`
mkdir -p /etc/iptables; printf '*filter\n-A INPUT -p icmp -j DROP\nCOMMIT\n' > /etc/iptables/rules.v4
$plugin start; $plugin save; bpftables save
bpftables install-compat --dialect legacy >/dev/null
$plugin start || echo FAILED start; iptables -S INPUT
iptables -A INPUT -s 192.0.2.1 -j DROP
$plugin save || echo FAILED save; grep -c -- '^-A' /etc/iptables/rules.v4
$plugin flush; iptables -S INPUT
$plugin restart; iptables -S INPUT
$plugin stop; iptables -S INPUT | wc -l
bpftables flush --all
echo '*nosuch' > /etc/iptables/rules.v4
$plugin start >/dev/null 2>&1 && echo FAILED to fail
iptables -S INPUT | head -1
`, bin)
	rules := "-P INPUT ACCEPT\n-A INPUT -p icmp -j DROP\n"
	loaded := "ipv4: /etc/iptables/rules.v4 is enforced\nipv6: there is no file /etc/iptables/rules.v6; nothing is enforced for it\n"
	want := loaded + rules + "ipv4: stored in /etc/iptables/rules.v4\nipv6: stored in /etc/iptables/rules.v6\n2\n-P INPUT ACCEPT\n" +
		strings.Replace(loaded, "there is no file /etc/iptables/rules.v6; nothing is enforced for it", "/etc/iptables/rules.v6 is enforced\nipv6: warning: /etc/iptables/rules.v6 has no rules: everything is accepted", 1) +
		rules + "-A INPUT -s 192.0.2.1/32 -j DROP\n3\n-P INPUT DROP\n"
	if out != want {
		t.Errorf("%s\nwant\n%s", out, want)
	}
}

// TestCompatRefused: a full /run and missing rights leave all rules enforced, and names with a program that
// knows them.
func TestCompatRefused(t *testing.T) {
	needRoot(t)
	bin := compatBinaries(t)
	out := inBox(t, `
iptables-nft -A INPUT -p icmp -j DROP
closed() { ping -c 1 -W 0.2 127.0.0.1 >/dev/null && echo "OPEN $1"; echo "$1: $(basename $(readlink -f /usr/sbin/iptables)) $(iptables -S INPUT | grep -c icmp)"; }
bpftables status >/dev/null
full() { mount -o remount,size=200k /run; cat /dev/zero > /run/fill 2>/dev/null; }
empty() { rm /run/fill; mount -o remount,size=20m /run; }
full; bpftables install-compat 2>&1 >/dev/null | grep -o 'no space left on device; the names are those of bpftables now'; closed full
bpftables remove-compat >/dev/null 2>&1; closed removed
empty; bpftables install-compat >/dev/null; closed installed
full; bpftables remove-compat 2>&1 >/dev/null | grep -o 'no space left on device'; closed full
empty; bpftables remove-compat >/dev/null; closed removed
without() { setpriv --bounding-set $1 --inh-caps $1 bpftables $2 2>&1; }
without -net_admin install-compat | grep -o 'CAP_NET_ADMIN is missing.*'; closed without
without -net_admin remove-compat >/dev/null; closed removed
without -bpf,-sys_admin install-compat | grep -o 'operation not permitted'; closed without
setpriv --reuid 65534 --clear-groups $(which bpftables) install-compat 2>&1 | grep -o 'run it as root'; closed nobody
ls -d /var/lib/bpftables /etc/bpftables 2>/dev/null; true
`, bin)
	const want = `no space left on device; the names are those of bpftables now
full: xtables-bpf-multi 1
removed: xtables-nft-multi 1
installed: xtables-bpf-multi 1
no space left on device
full: xtables-bpf-multi 1
removed: xtables-nft-multi 1
CAP_NET_ADMIN is missing, as when an image is built; take them over with 'bpftables takeover'
without: xtables-bpf-multi 1
removed: xtables-nft-multi 1
operation not permitted
without: xtables-nft-multi 1
run it as root
nobody: xtables-nft-multi 1
`
	if out != want {
		t.Errorf("%s\nwant\n%s", out, want)
	}
}

// TestLostState: what is in /run/bpftables is lost, and the rules that were stored are given back.
func TestLostState(t *testing.T) {
	needRoot(t)
	bin := compatBinaries(t)
	for what, lose := range map[string]string{
		"all":      "umount -l /run/bpftables/bpf; rm -rf /run/bpftables",
		"pins":     "rm -rf /run/bpftables/bpf/* 2>/dev/null",
		"state":    "rm -rf /run/bpftables/4*",
		"readable": `printf '\377' | dd of=$(echo /run/bpftables/4*/ipv4/state-*.db) bs=1 seek=8 conv=notrunc 2>/dev/null`,
	} {
		script := heldBefore + "bpftables install-compat >/dev/null\nbpftables persist >/dev/null\n" + lose + "\n"
		out := inBox(t, script+`
bpftables remove-compat 2>&1
closed removed
texts; ls /etc/iptables
rm -rf /etc/iptables
`, bin)
		if strings.Contains(out, "OPEN") || !strings.Contains(out, "-A INPUT -p icmp -j DROP") || !strings.Contains(out, "/usr/sbin/iptables-nft\n") {
			t.Errorf("%s:\n%s", what, out)
		}
		if what == "pins" { // the state says what they were
			continue
		}
		if !strings.Contains(out, "given back is what /etc/iptables/rules.v4 has") {
			t.Errorf("%s: no word of what is given back:\n%s", what, out)
		}
		out = inBox(t, script+"rm -rf /etc/iptables\nbpftables remove-compat 2>&1; echo exit $?; closed refused; readlink /etc/alternatives/iptables\n", bin)
		// Of "all", the programs are gone, and nobody knows what they did.
		if what != "all" && strings.Contains(out, "OPEN") || !strings.Contains(out, "/etc/iptables/rules.v4 has no rules to give back") ||
			!strings.Contains(out, "exit 1\n") || !strings.Contains(out, "xtables-bpf-multi\n") {
			t.Errorf("%s, and nothing stored:\n%s", what, out)
		}
	}
}

// TestFlushedOnPurpose: what an administrator has removed is not given back as if it were lost, in whichever way it was
// removed; and what is lost after a giving that was killed in the middle is given as a whole.
func TestFlushedOnPurpose(t *testing.T) {
	needRoot(t)
	bin := compatBinaries(t, "-tags", "failpoints")
	for what, removed := range map[string]string{
		"by a face":        "iptables -F; iptables -X; iptables -P INPUT ACCEPT",
		"by flush":         "bpftables flush",
		"by flush --all":   "bpftables flush --all",
		"where it came to": "bpftables give-back >/dev/null; iptables-nft -F INPUT",
		"by a killed run":  "iptables -F\n(BPFTABLES_FAILPOINT=given bpftables remove-compat >/dev/null && echo NOT KILLED; true) 2>/dev/null",
	} {
		out := inBox(t, "iptables-nft -A INPUT -p icmp -j DROP\nbpftables install-compat >/dev/null\nbpftables persist >/dev/null\n"+removed+`
bpftables remove-compat 2>&1 | grep 'given back is'
iptables-nft-save 2>/dev/null | grep icmp; iptables-legacy-save 2>/dev/null | grep icmp
readlink /etc/alternatives/iptables
`, bin)
		if out != "/usr/sbin/iptables-nft\n" {
			t.Errorf("%s:\n%s", what, out)
		}
	}
	out := inBox(t, `
iptables-nft -A INPUT -p icmp -j DROP; iptables-nft -t raw -A PREROUTING -s 192.0.2.1 -j DROP
bpftables install-compat >/dev/null
bpftables persist >/dev/null
umount -l /run/bpftables/bpf; rm -rf /run/bpftables
(BPFTABLES_FAILPOINT=loaded-text bpftables remove-compat >/dev/null && echo NOT KILLED; true) 2>/dev/null
iptables-nft -t raw -F; iptables-nft -t raw -X
bpftables remove-compat >/dev/null 2>&1 || echo FAILED remove-compat
iptables-nft-save | grep '^-A'
`, bin)
	if want := "-A PREROUTING -s 192.0.2.1/32 -j DROP\n-A INPUT -p icmp -j DROP\n"; out != want {
		t.Errorf("killed in the middle:\n%s\nwant\n%s", out, want)
	}
}

// TestMigrate replaces bpftables by a version that cannot read what this one has made: it is enforced all the
// time, and then known again, with counters, in all network namespaces.
func TestMigrate(t *testing.T) {
	needRoot(t)
	bin := compatBinaries(t)
	next := compatBinaries(t, "-overlay", withLayout(t, "99"))
	next = strings.TrimPrefix(next[:strings.Index(next, ":")], "PATH=") + "/bpftables"
	out := inBox(t, fmt.Sprintf(`
next=%s
ip netns add other
ip netns exec other bpftables iptables -A INPUT -s 192.0.2.7 -j LOG
bpftables iptables -A INPUT -p icmp -j DROP
bpftables ip6tables -t raw -A PREROUTING -s 2001:db8::1 -j DROP
iptables-legacy -t mangle -A INPUT -s 192.0.2.8 -j ACCEPT
closed() { ping -c 1 -W 0.2 127.0.0.1 >/dev/null && echo "OPEN $1"; }
closed before
$next save >/dev/null && echo IT CAN BE READ
$next iptables -A INPUT -s 192.0.2.9 -j DROP && echo IT CAN BE CHANGED
closed unknown
$next migrate $(which bpftables) || echo FAILED
closed after
$next save -c | sed -n '/\*filter/,/COMMIT/p'; $next save -6
echo mangle; $next save -t mangle 2>&1; echo end
ip netns exec other $next save
iptables-legacy-save -t mangle | grep -c 192.0.2.8
$next migrate $(which bpftables)
$next iptables -A INPUT -s 192.0.2.9 -j DROP || echo FAILED
$next flush --all; ip netns exec other $next flush --all
bpftables iptables -A INPUT -p icmp -j DROP
mkdir -p /var/lib/bpftables; cp $(which bpftables) /var/lib/bpftables/previous
$next remove-compat || echo FAILED remove-compat
closed given; iptables-nft-save 2>/dev/null | grep -c icmp
`, next), bin)
	for _, want := range []string{"[3:252] -A INPUT -p icmp -j DROP\n", "-A PREROUTING -s 2001:db8::1/128 -j DROP\n", "-A INPUT -s 192.0.2.7/32 -j LOG\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	for _, bad := range []string{"OPEN", "FAILED", "IT CAN", "warning"} { // the last one: a table is enforced twice
		if strings.Contains(out, bad) {
			t.Errorf("%s:\n%s", bad, out)
		}
	}
	if strings.Count(out, "made anew") != 4 || !strings.HasSuffix(out, "given back\nipv6: nothing of ours is enforced\n1\n") {
		t.Errorf("what was made anew:\n%s", out)
	}
}

var layoutLine = regexp.MustCompile(`const layoutVersion = \d+`)

// compatBinaries builds both programs, and gives the PATH in which they come first.
func compatBinaries(t *testing.T, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", append(append([]string{"build", "-trimpath", "-ldflags", "-s -w"}, args...), "-o", dir+"/", "../cmd/...")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "xtables-bpf-multi")); err != nil {
		t.Fatal(err)
	}
	return "PATH=" + dir + ":/usr/sbin:/usr/bin:/sbin:/bin"
}
