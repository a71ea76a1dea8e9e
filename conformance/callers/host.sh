# host.sh PROGRAMS SCENARIO: plays a scenario on a host of its own, with one set of the programs of iptables.
#
# It is the first process of its network, mount and process namespaces (unshare -nmpf --mount-proc). CALLERS is the
# directory that scripts/callers has laid out, BIN that of our programs, DIALECT what these speak, EXAMPLES docs/examples. PROGRAMS:
#
#   legacy, nft   netfilter's own
#   ours          xtables-bpf-multi for the plain names, as install-compat leaves it
#   served        the same, and `bpftables serve`
#
# Three words are for scenarios. `run COMMAND` prints the command, both outputs in one, and the exit code; `step NAME`
# prints what all tools list then; `begin` ends preparations. With TIMED set nothing is printed but how long each step
# has taken. N is the size of a scenario that has one.
programs=$1 scenario=$2
die() { echo "host.sh: $*" >&2; exit 125; }

# A system of its own, in memory: what callers write stays there.
mount -t tmpfs -o mode=755 none "$CALLERS/host" || die "no tmpfs"
for d in usr etc var/lib; do
	mkdir -p "$CALLERS/host/up/$d" "$CALLERS/host/work/$d"
	mount -t overlay overlay -o "lowerdir=$CALLERS/root/$d:/$d,upperdir=$CALLERS/host/up/$d,workdir=$CALLERS/host/work/$d" "/$d" || die "no overlay over /$d"
done
mount -t tmpfs -o mode=755 none /run && mkdir -p /run/lock /run/netns /run/scenario || die "no /run"
mount -t tmpfs none /var/log && mount -t sysfs sysfs /sys || die "no /var/log or /sys"
hash -r
cd /run/scenario || die "no directory"

export PATH=/usr/sbin:/usr/bin LC_ALL=C HOME=/run/scenario PYTHONDONTWRITEBYTECODE=1
export BPFTABLES_DIALECT=$DIALECT
unset XTABLES_LOCKFILE BPFTABLES_SERVE BPFTABLES_NO_SERVE BPFTABLES_IPTABLES BPFTABLES_VERBOSE
variant=legacy
[ "$programs" != nft ] || variant=nft
for family in iptables ip6tables; do
	for kind in "" -save -restore; do
		to=/usr/sbin/$family-$variant$kind
		case $programs in ours | served) to=$BIN/xtables-bpf-multi ;; esac
		ln -sfn "$to" "/etc/alternatives/$family$kind"
	done
done

ip link set lo up
ip link add eth0 type veth peer name far0 && ip link add eth1 type veth peer name far1 || die "no veth"
ip addr add 192.0.2.10/24 dev eth0 && ip addr add 198.51.100.10/24 dev eth1
ip -6 addr add 2001:db8::10/64 dev eth0 nodad
for d in eth0 far0 eth1 far1; do ip link set $d up; done
ip route add default via 192.0.2.1

if [ "$programs" = served ]; then
	mkfifo /run/scenario/said
	"$BIN/bpftables" serve 2>/run/scenario/said &
	exec 3</run/scenario/said
	while read -r line <&3; do
		case $line in *"serving on"*) break ;; esac
	done
	[ -n "$line" ] || die "no server"
	cat <&3 >&2 &
fi

if [ -n "$TIMED" ]; then
	exec 4>&1
	begin() { since=$EPOCHREALTIME; }
	run() { "$@" >/dev/null 2>&1; }
	step() {
		local now=$EPOCHREALTIME
		echo "$((${now/./} - ${since/./})) $*" >&4
		begin
	}
else
	begin() { :; }
	run() {
		printf '$'; printf ' %s' "$@"; echo
		local code
		"$@" >/run/scenario/out 2>&1; code=$?
		cat /run/scenario/out
		echo "= $code"
		return $code
	}
	# Sets have no order.
	step() {
		echo "## $*"
		iptables-save; ip6tables-save
		ipset save | sort
	}
fi

begin
. "$scenario"
