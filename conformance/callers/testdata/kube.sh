# kube-proxy in iptables mode with N services of two endpoints: its first sync, what each sync ensures, a small sync in
# which one service changes, and the end of a service. Written down from pkg/proxy/iptables/proxier.go and
# pkg/util/iptables of Kubernetes 1.30.
t() { run iptables -w 5 -W 100000 "$@"; }
ensure() { # how table chain from comment [conditions]
	local how=$1 table=$2 to=$3 from=$4 said=$5
	shift 5
	t -N $to -t $table
	t -C $from -t $table "$@" -m comment --comment "$said" -j $to || t $how $from -t $table "$@" -m comment --comment "$said" -j $to
}
new="-m conntrack --ctstate NEW"
jumps() {
	ensure -I filter KUBE-EXTERNAL-SERVICES INPUT "kubernetes externally-visible service portals" $new
	ensure -I filter KUBE-EXTERNAL-SERVICES FORWARD "kubernetes externally-visible service portals" $new
	ensure -I filter KUBE-NODEPORTS INPUT "kubernetes health check service ports"
	ensure -I filter KUBE-SERVICES FORWARD "kubernetes service portals" $new
	ensure -I filter KUBE-SERVICES OUTPUT "kubernetes service portals" $new
	ensure -I filter KUBE-FORWARD FORWARD "kubernetes forwarding rules"
	ensure -I filter KUBE-PROXY-FIREWALL INPUT "kubernetes load balancer firewall" $new
	ensure -I filter KUBE-PROXY-FIREWALL OUTPUT "kubernetes load balancer firewall" $new
	ensure -I filter KUBE-PROXY-FIREWALL FORWARD "kubernetes load balancer firewall" $new
	ensure -I nat KUBE-SERVICES OUTPUT "kubernetes service portals"
	ensure -I nat KUBE-SERVICES PREROUTING "kubernetes service portals"
	ensure -I nat KUBE-POSTROUTING POSTROUTING "kubernetes postrouting rules"
}

. "${scenario%/*}/tables/kube"
sync 0 $((N - 1)) 0 >first
sync 7 7 1 >small
# A service less: its chains are removed in the same text.
N=$((N - 1)) sync 0 -1 0 | awk -v s=$((N - 1)) '
	/^:KUBE-SVC|^:KUBE-SEP/ { next }
	/^\*nat/ { nat = 1 }
	nat && /^-A/ && !done { printf ":KUBE-SVC-%016d - [0:0]\n:KUBE-SEP-%016d - [0:0]\n:KUBE-SEP-%016d - [0:0]\n", s, s * 16, s * 16 + 1; done = 1 }
	nat && /^COMMIT/ { printf "-X KUBE-SVC-%016d\n-X KUBE-SEP-%016d\n-X KUBE-SEP-%016d\n", s, s * 16, s * 16 + 1 }
	{ print }' >removed
restore() { run iptables-restore -w 5 -W 100000 --noflush --counters <"$1"; }

begin
run iptables --version
run iptables-restore --version
for table in mangle nat filter; do
	t -N KUBE-PROXY-CANARY -t $table
done
step canary
jumps
step ensured
restore first
step first
jumps
step again
restore small
step small
restore removed
step removed
for table in mangle nat filter; do
	t -S KUBE-PROXY-CANARY -t $table
done
step canaries
