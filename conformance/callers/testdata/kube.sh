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

# sync FIRST LAST EXTRA: the text of a sync in which the services FIRST to LAST are written anew; EXTRA gives each so
# many more endpoints.
sync() {
	awk -v n="$N" -v first="$1" -v last="$2" -v extra="$3" 'BEGIN {
		print "*filter"
		split("KUBE-NODEPORTS KUBE-SERVICES KUBE-EXTERNAL-SERVICES KUBE-FIREWALL KUBE-FORWARD KUBE-PROXY-FIREWALL", c, " ")
		for (i = 1; i <= 6; i++) print ":" c[i] " - [0:0]"
		print "-A KUBE-FIREWALL -m comment --comment \"block incoming localnet connections\" -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
		print "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP"
		print "-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark 0x4000/0x4000 -j ACCEPT"
		print "-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding conntrack rule\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
		print "COMMIT\n*nat"
		split("KUBE-NODEPORTS KUBE-SERVICES KUBE-MARK-MASQ KUBE-POSTROUTING", c, " ")
		for (i = 1; i <= 4; i++) print ":" c[i] " - [0:0]"
		for (s = first; s <= last; s++) {
			printf ":KUBE-SVC-%016d - [0:0]\n", s
			for (e = 0; e < 2 + extra; e++) printf ":KUBE-SEP-%016d - [0:0]\n", s * 16 + e
		}
		print "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN"
		print "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000"
		print "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully"
		print "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000"
		for (s = 0; s < n; s++) {
			name = sprintf("\"space/service-%d:http cluster IP\"", s)
			at = sprintf("-m tcp -p tcp -d 10.%d.%d.%d --dport 80", 96 + int(s / 65536), int(s / 256) % 256, s % 256)
			printf "-A KUBE-SERVICES -m comment --comment %s %s -j KUBE-SVC-%016d\n", name, at, s
			if (s < first || s > last) continue
			printf "-A KUBE-SVC-%016d -m comment --comment %s %s ! -s 10.244.0.0/14 -j KUBE-MARK-MASQ\n", s, name, at
			for (e = 0; e < 2 + extra; e++) {
				ip = sprintf("10.%d.%d.%d", 244 + int((s * 4 + e) / 65536), int((s * 4 + e) / 256) % 256, (s * 4 + e) % 256)
				random = e < 1 + extra ? sprintf("-m statistic --mode random --probability %.10f ", 1 / (2 + extra - e)) : ""
				printf "-A KUBE-SVC-%016d -m comment --comment \"space/service-%d:http -> %s:8080\" %s-j KUBE-SEP-%016d\n", s, s, ip, random, s * 16 + e
				printf "-A KUBE-SEP-%016d -m comment --comment space/service-%d:http -s %s -j KUBE-MARK-MASQ\n", s * 16 + e, s, ip
				printf "-A KUBE-SEP-%016d -m comment --comment space/service-%d:http -m tcp -p tcp -j DNAT --to-destination %s:8080\n", s * 16 + e, s, ip
			}
		}
		print "-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule in this chain\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
		print "COMMIT"
	}'
}
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
