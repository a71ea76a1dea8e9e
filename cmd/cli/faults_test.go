package cli_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// alone runs a shell script in mount, process and network namespaces of its own with an empty
// /run, with the program as $B, and gives what it prints. The words of the prelude are for it.
func alone(t *testing.T, script string) string {
	t.Helper()
	h := newHost(t)
	cmd := exec.Command("unshare", "-nmpf", "--kill-child", "--mount-proc", "bash", "-c", prelude+script+"\ntrue")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "B="+h.self, "BPFTABLES_IPTABLES=legacy")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

const prelude = `
set -u
mount -t tmpfs -o mode=755 none /run || exit 1
ip link set lo up
# passes: does a packet to port 9 pass? What OUTPUT drops is an error of its sender.
passes() { (echo x > /dev/udp/127.0.0.1/9) 2>/dev/null && echo yes || echo no; }
# says WHAT: a line for the test, when it should not be
says() { echo "FAULT: $*"; }
# serve: starts a server, and waits until it has said that it serves.
serve() { coproc SERVE { exec $B serve 2>&1; }; read -r _ <&${SERVE[0]}; }
`

func faults(t *testing.T, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "FAULT: ") {
			t.Error(strings.TrimSuffix(line, "\n"))
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// No command panics, or makes anything of the rules other than it says, while the disk that
// states lie on is full: of bytes or of files. With room again, all goes on.
func TestFullDisk(t *testing.T) {
	for name, full := range map[string]string{
		"bytes": `mount -t tmpfs -o size=256k none /run/bpftables
			fill() { head -c 512k /dev/zero > /run/bpftables/filler 2>/dev/null; }`,
		"files": `mount -t tmpfs -o nr_inodes=60 none /run/bpftables
			fill() { mkdir -p /run/bpftables/filler; for i in {1..60}; do : > /run/bpftables/filler/$i || break; done 2>/dev/null; }`,
	} {
		for _, how := range []string{"alone", "served"} {
			t.Run(name+" "+how, func(t *testing.T) {
				start := ""
				if how == "served" {
					start = "serve\n"
				}
				faults(t, alone(t, "mkdir /run/bpftables\n"+full+"\n"+start+fullDisk))
			})
		}
	}
}

const fullDisk = `
for i in {1..300}; do echo "-A INPUT -s 198.18.3.$((i % 250)) -p tcp -m tcp --dport $i -j DROP"; done > lines
{ echo '*filter'; echo '-A OUTPUT -p udp --dport 9 -j DROP'; cat lines; echo COMMIT; } > rules
{ echo '*filter'; echo '-A OUTPUT -p udp --dport 9 -j DROP'; cat lines lines lines; echo COMMIT; } > more
$B restore -w < rules || says "the rules are refused"
try() {
	$B save > before; "$@" > out 2> err; rc=$?; $B save > after 2> err2 || says "$*: then save: $(cat err2)"
	grep -q 'panic\|goroutine' err && says "$*: $(head -3 err)"
	[ $rc = 0 ] && return
	grep -qi 'no space' err || says "$*: exit code $rc, and does not say that there is no space: $(head -3 err)"
	grep -v '^#' before > b; grep -v '^#' after > a; cmp -s a b || says "$*: failed with $rc, but rules changed: $(diff b a | head -5)"
	[ $(passes) = no ] || says "$*: failed, and the rules are not enforced"
}
fill
for i in {1..8}; do
	try $B iptables -w -A INPUT -s 198.18.4.$i -p tcp --dport $i -m comment --comment $(printf 'x%.0s' {1..200}) -j DROP
done
try $B iptables -w -D INPUT 2
try $B iptables -w -I INPUT -p udp --dport 7 -j REJECT
try $B iptables -w -N user
try $B iptables -w -A INPUT -p udp --dport 10 -j LOG
try $B iptables -w -Z
try $B iptables -w -P FORWARD DROP
try $B restore -w < more
try $B restore -w --early tcx < more
try $B flush -w -6
try $B takeover -w -4
rm -rf /run/bpftables/filler
$B restore -w < rules || says "with room again the rules are refused"
[ $(passes) = no ] || says "with room again the rules are not enforced"
fill
$B flush --all -w 2> err || says "flush --all: $(cat err)"
[ $(passes) = yes ] || says "flush --all leaves rules"
`

// Commands that only read make, change and remove nothing, however odd what they find: a
// firewall that a reader takes down is open.
func TestReadersChangeNothing(t *testing.T) {
	for name, odd := range map[string]string{
		"nothing":               ``,
		"rules":                 `load`,
		"no cookie":             `load; rmdir /run/bpftables/bpf/$N/cookie-*`,
		"another cookie":        `load; mv /run/bpftables/bpf/$N/cookie-* /run/bpftables/bpf/$N/cookie-77`,
		"two cookies":           `load; mkdir /run/bpftables/bpf/$N/cookie-77`,
		"empty files":           `load; for f in $(find /run/bpftables -type f -not -path '*/bpf/*'); do : > $f; done`,
		"no files":              `load; find /run/bpftables -type f -not -path '*/bpf/*' -delete`,
		"no state directory":    `load; rm -r /run/bpftables/$N`,
		"no pins":               `load; rm -r /run/bpftables/bpf/$N`,
		"a generation half":     `load; mkdir /run/bpftables/bpf/$N/ipv4/gen-2; : > /run/bpftables/$N/ipv4/state-2.db`,
		"a dead namespace":      `unshare -n $B restore -w < rules; load`,
		"a switch":              `load; echo '{"4":7}' > /run/bpftables/$N/switch`,
		"a file of other kinds": `load; mkdir /run/bpftables/$N/ipv4/state-9.db; ln -s nowhere /run/bpftables/$N/ipv4/state-8.db`,
	} {
		t.Run(name, func(t *testing.T) { faults(t, alone(t, readers+odd+readAll)) })
	}
}

const readers = `
N=$(stat -Lc %i /proc/self/ns/net)
printf '*filter\n-A OUTPUT -p udp --dport 9 -j DROP\n-A INPUT -p udp --dport 7 -j LOG\nCOMMIT\n' > rules
load() { $B restore -w < rules || says "the rules are refused"; }
`

const readAll = `
look() { find /run/bpftables -printf '%p %y %i %m %s %l\n' 2>/dev/null | grep -v '/netfilter.linked \|/bpf/links-' | sort; nft list ruleset; passes; }
look > before
for words in save "save -c" "save -6" list status "status --json" "iptables -S" "iptables -L -n -v" "ip6tables -S" "iptables -C INPUT -p tcp -j DROP" \
		"check rules" "restore --test rules" "takeover --dry-run" "give-back --dry-run" "explain udp" "iptables -t nat -S"; do
	$B $words >out 2>err </dev/null
	grep -q 'panic\|goroutine' err && says "$words: $(head -3 err)"
	look > after
	cmp -s before after || { says "$words: $(diff before after | head -5)"; cp after before; }
done
`

// A restore that cannot see the processes of the host takes no namespace for dead: rules of a
// container that has no name but its process stay.
func TestOthersNamespacesStay(t *testing.T) {
	for name, blind := range map[string]string{
		"without SYS_PTRACE": `setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace`,
		"without /proc":      `unshare -m sh -c 'mount -t tmpfs none /proc && exec "$@"' -`,
		"/proc of others":    `unshare -pf --mount-proc`,
		"hidden processes":   `unshare -m sh -c 'mount -o remount,hidepid=2 /proc; exec setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace "$@"' -`,
	} {
		t.Run(name, func(t *testing.T) { faults(t, alone(t, "blind() { "+blind+` "$@"; }`+"\n"+container)) })
	}
}

const container = `
printf '*filter\n-A OUTPUT -p udp --dport 9 -j DROP\nCOMMIT\n' > rules
mkfifo up
unshare -n bash -c "ip link set lo up; $B restore -w < rules; echo up > up; exec sleep 60" & p=$!
read -r _ < up
inside() { nsenter -t $p -n bash -c '(echo x > /dev/udp/127.0.0.1/9) 2>/dev/null' && echo yes || echo no; }
[ $(inside) = no ] || says "the rules of the container are not enforced"
for words in "restore -w" "flush --all -w" "iptables -w -N user"; do
	blind $B $words < rules 2> err || { grep -q 'panic\|goroutine' err && says "$words: $(head -3 err)"; echo "$words: $(cat err)"; }
	[ $(inside) = no ] || says "$words on the host takes the rules of the container away"
done
kill $p
`

// What else was found by hand on hosts, a script each.
func TestHostFaults(t *testing.T) {
	for name, script := range map[string]string{
		// A program in the same network namespace with a /run of its own shares the rules.
		"own /run": `
			$B iptables -w -A INPUT -p udp --dport 24 -j DROP
			unshare -m --propagation private sh -c "mount -t tmpfs none /run; $B iptables -w -A INPUT -p udp --dport 25 -j DROP" || says "refused"
			[ $($B iptables -S INPUT | grep -c ^-A) = 2 ] || says "two rules were added: $($B iptables -S INPUT)"`,
		// LOG and MARK in table security let packets go on.
		"table security": `
			unset BPFTABLES_IPTABLES
			for target in "LOG --log-prefix x" "MARK --set-mark 1"; do
				printf '*security\n-A OUTPUT -p udp --dport 9 -j %s\nCOMMIT\n' "$target" | $B restore -w || says "-j $target is refused"
				[ $(passes) = yes ] || says "-j $target drops"
			done`,
		// What netfilter would refuse is refused, also where no packet comes.
		"unmet rules": `
			for rule in "-m string --string x --algo none" "-p tcp -j TCPMSS --set-mss 1400" "-m set --match-set nosuch src"; do
				printf '*filter\n:u - [0:0]\n-A INPUT -p udp\n-A u %s\nCOMMIT\n' "$rule" > rules
				iptables-legacy-restore --test < rules 2> err && iptables-legacy-restore < rules 2>> err && { iptables-legacy -F; iptables-legacy -X; echo "taken: $rule"; continue; }
				$B restore -w < rules 2> err && says "$rule is taken"
				grep -q '4' err || says "$rule: the line is not told: $(cat err)"
				$B restore --test < rules 2> err && says "restore --test takes $rule"
			done`,
		// A set that a rule names cannot be destroyed.
		"sets of unmet rules": `
			ipset create s1 hash:ip
			$B iptables -w -N u; $B iptables -w -A u -m set --match-set s1 src -j DROP
			ipset destroy s1 2> err && says "a set that a rule names is destroyed"
			$B iptables -w -A INPUT -m policy --dir in --pol none -j ACCEPT || says "another rule is refused"`,
		// Rules of a chain that no packet meets come and go without a new generation; they are enforced once packets do.
		"unmet rules in place": `
			unset BPFTABLES_IPTABLES
			iptables() { $B iptables -w "$@"; }
			made() { $B status | grep -q "^ipv4: generation $1," || says "$2: $($B status | head -1)"; }
			ipset create s1 hash:ip; ipset add s1 127.0.0.1
			printf '*filter\n-A OUTPUT -p udp --dport 8 -m conntrack --ctstate NEW -j DROP\nCOMMIT\n*raw\n-A OUTPUT -p udp --dport 7 -j DROP\nCOMMIT\n' | $B restore -w
			iptables -N u; iptables -t raw -N u
			for rule in "-m set --match-set s1 src -j RETURN" "-m connlimit --connlimit-above 100000 -j RETURN" "-m hashlimit --hashlimit-upto 3/min --hashlimit-name h -j RETURN" \
				"-m time --timestart 23:00 -j RETURN" "-p udp -m set --match-set s1 src -j DROP"; do
				iptables -A u $rule || says "$rule is refused"
				iptables -C u $rule || says "$rule is not there"
			done
			iptables -t raw -A u -p udp --dport 69 -j CT --helper tftp || says "a helper is refused"
			iptables -t raw -A u -p udp --dport 69 -j CT --helper nosuch 2> err && says "a helper is taken that is not there"
			ipset destroy s1 2> err && says "a set that rules name is destroyed"
			made 1 "rules that no packet meets"
			[ $(passes) = yes ] || says "rules drop that no packet meets"
			iptables -I u -p udp -m set --match-set s1 src -j DROP; iptables -A OUTPUT -p udp --dport 9 -j u || says "the jump is refused"
			[ $(passes) = no ] || says "rules do not drop that packets meet"
			iptables -D OUTPUT -p udp --dport 9 -j u
			[ $(passes) = yes ] || says "rules drop that no packet meets any more"
			iptables -F u; iptables -X u
			ipset destroy s1 || says "a set that no rule names is kept"
			iptables -t raw -F u; iptables -t raw -X u`,
		// So does one in a root directory of its own, and one whose process 1 has another root.
		"own root": `
			mkdir -p r; mount --rbind / r
			$B iptables -w -A INPUT -p udp --dport 24 -j DROP
			unshare -m --propagation private chroot r sh -c "mount -t tmpfs none /run; $B iptables -w -A INPUT -p udp --dport 25 -j DROP" || says "refused"
			[ $($B iptables -S INPUT | grep -c ^-A) = 2 ] || says "two rules were added: $($B iptables -S INPUT)"
			mount -t proc proc r/proc
			unshare -mpf --kill-child --propagation private chroot r bash -c "mount -t proc proc /proc; mount -t tmpfs none /run
				$B flush --all -w; $B iptables -w -A INPUT -p udp --dport 26 -j DROP
				unshare -m sh -c 'mount -t tmpfs none /run; $B iptables -w -A INPUT -p udp --dport 27 -j DROP' || echo FAULT: refused under a chroot
				$B iptables -S INPUT | grep -c ^-A | grep -qx 2 || echo FAULT: under a chroot two rules were added"`,
		// Where nothing of them is seen, nothing is done to the rules of others.
		"own /run and processes": `
			$B iptables -w -A OUTPUT -p udp --dport 9 -j DROP; $B save | grep -v '^#' > before
			for words in "iptables -w -N user" "restore -w" "restore -w -n" "flush -w" "save" "takeover -w" "give-back -w"; do
				unshare -mpf --mount-proc --propagation private sh -c "mount -t tmpfs none /run; printf '*filter\nCOMMIT\n' | $B $words" > out 2> err && says "$words: done"
				grep -q 'made in another mount namespace' err || says "$words: $(cat err)"
				grep -q 'flush --all' err && says "$words: advises to remove the rules of others: $(cat err)"
				[ $(passes) = no ] || says "$words: takes the rules down"
			done
			$B save | grep -v '^#' | cmp -s - before || says "other rules: $($B save)"`,
		// Without the file systems of the kernel it is said which one is missing; no files of ours.
		"no file systems": `
			$B iptables -w -A OUTPUT -p udp --dport 9 -j DROP
			for fs in proc sys; do
				for words in "save" "status" "iptables -w -N user" "flush --all -w"; do
					unshare -m --propagation private sh -c "mount -t tmpfs none /$fs; $B $words" > /dev/null 2> err && says "$words without /$fs"
					grep -q "/$fs\$" err || says "$words without /$fs: $(cat err)"
				done
				[ $(passes) = no ] || says "without /$fs the rules are taken down"
			done`,
		// A missing capability is named, not MEMLOCK, or an older kernel.
		"without CAP_BPF": `
			$B iptables -w -A INPUT -s 192.0.2.1 -j ACCEPT || says "refused with all capabilities"
			few=-all,+chown,+dac_override,+fowner,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+net_admin
			setpriv --bounding-set=$few --inh-caps=-all $B iptables -A INPUT -p tcp --dport 22 -j ACCEPT 2> err && says "worked: change this test"
			grep -q CAP_BPF err || says "no word of CAP_BPF: $(cat err)"`,
	} {
		t.Run(name, func(t *testing.T) { faults(t, alone(t, script)) })
	}
}

// Output that cannot be written is lost, and the exit code says so: a stored ruleset that is
// cut off in the middle must not look like a whole one. Closed outputs are no reason to do
// less, or to panic.
func TestLostOutput(t *testing.T) {
	for name, start := range map[string]string{"alone": "", "served": "serve\n"} {
		t.Run(name, func(t *testing.T) { faults(t, alone(t, start+lostOutput)) })
	}
}

const lostOutput = `
printf '*filter\n-A OUTPUT -p udp --dport 9 -j DROP\nCOMMIT\n' > rules
$B restore -w < rules
for words in save status "status --json" list "iptables -S" "iptables -L" "iptables -V" "explain udp" "check rules" "takeover --dry-run" version; do
	$B $words > /dev/full 2> err; rc=$?
	[ $rc = 1 ] && grep -q 'no space left on device' err || says "$words: exit code $rc with a full output: $(cat err)"
	$B $words > /dev/full 2> /dev/full; [ $? = 1 ] || says "$words: both outputs full: another exit code"
	$B $words >&- 2> err || says "$words: fails with a closed output: $(cat err)"
	grep -q 'panic\|goroutine' err && says "$words: $(head -3 err)"
done
$B iptables -w -A OUTPUT -p udp --dport 10 -j DROP <&- >&- 2>&- || says "a change fails with all closed"
[ $($B iptables -S OUTPUT | grep -c ^-A) = 2 ] || says "the change with all closed is not there"
`

// An input that does not end holds up its own command alone: nobody else waits for the lock,
// whatever the input is, and when it ends, its rules are there.
func TestHungInput(t *testing.T) {
	for name, start := range map[string]string{"alone": "", "served": "serve\n"} {
		t.Run(name, func(t *testing.T) { faults(t, alone(t, start+hungInput)) })
	}
}

const hungInput = `
mkfifo in file
$B restore -w < in & first=$!
exec 7> in
$B restore -w file 7>&- & second=$!
exec 8> file
printf '*filter\n-A INPUT -p udp --dport 1 -j DROP\n' | tee /proc/self/fd/7 >&8
$B iptables -A INPUT -p udp --dport 2 -j DROP || says "the lock is held"
iptables-legacy -A OUTPUT -p udp --dport 3 || says "the lock is held for iptables"
iptables-legacy -F
[ "$($B iptables -S INPUT | grep -c ^-A)" = 1 ] || says "rules of an input that has not ended: $($B iptables -S INPUT)"
echo COMMIT >&7; exec 7>&-
wait $first || says "the restore fails"
$B iptables -S INPUT | grep -q 'dport 1 ' || says "the rules of the first input are not there"
kill -9 $second; exec 8>&-
$B iptables -A INPUT -p udp --dport 4 -j DROP || says "the lock is held after a kill"
`

// Twenty callers change rules at once, half of them are killed at any moment: what a caller was
// told is done is there, once, and nothing is wedged.
func TestKilledCallers(t *testing.T) {
	for name, start := range map[string]string{"alone": "", "served": "serve\n"} {
		t.Run(name, func(t *testing.T) { faults(t, alone(t, start+killedCallers)) })
	}
}

const killedCallers = `
printf '*filter\n-A OUTPUT -p udp --dport 9 -j DROP\nCOMMIT\n' > rules
$B restore -w < rules || says "the rules are refused"
caller() { # NUMBER: three changes; those that are done are written down
	for i in 1 2 3; do
		$B iptables -w -A INPUT -p tcp --dport $(($1 * 10 + i)) -j DROP 2>> err.$1 && echo $(($1 * 10 + i)) >> done.$1
	done
}
for n in {1..20}; do caller $n & pids[$n]=$!; done
# Those with even numbers are killed, with the commands that they run, while others go on.
for n in {2..20..2}; do
	[ $(passes) = no ] || says "the rules are not enforced while callers change others"
	child=$(cat /proc/${pids[$n]}/task/${pids[$n]}/children 2>/dev/null)
	kill -9 $child 2>/dev/null
done
for n in {1..20}; do wait ${pids[$n]}; done
$B iptables -w 30 -A INPUT -p tcp --dport 999 -j DROP || says "wedged"
$B iptables -S INPUT > after
for d in $(cat done.*) 999; do
	[ $(grep -c -- "--dport $d " after) = 1 ] || says "port $d: said to be done, there are $(grep -c -- "--dport $d " after)"
done
for n in {1..19..2}; do [ $(wc -l < done.$n) = 3 ] || says "caller $n: $(cat err.$n)"; done
grep -l 'panic\|goroutine' err.* && says "a panic: $(cat err.* | head -5)"
[ $(passes) = no ] || says "the rules are not enforced"
`
