# Single commands on top of a table: N is empty, small, ufw, docker, firewalld, or kube with 40,000 rules of 5,000
# services. Each kind is given some times.
tables=${scenario%/*}/tables
table=${N:-small}
case $table in
kube)
	. "$tables/kube"
	for c in SERVICES POSTROUTING; do
		iptables -t nat -N KUBE-$c
	done
	iptables -t nat -A PREROUTING -j KUBE-SERVICES
	iptables -t nat -A OUTPUT -j KUBE-SERVICES
	iptables -t nat -A POSTROUTING -j KUBE-POSTROUTING
	N=5000
	sync 0 $((N - 1)) 0 | iptables-restore --noflush
	;;
*) iptables-restore <"$tables/$table.v4" ;;
esac
times="1 2 3 4 5"
i() { run iptables -w "$@"; }
each() { local n; for n in $times; do i "${@//%/$n}"; done; }
rule="-s 203.0.113.% -p udp --dport 53 -j DROP"
begin
each -S INPUT
step "-S"
each -A INPUT $rule
step "-A"
each -C INPUT $rule
step "-C"
each -R INPUT 1 -i lo -m comment --comment % -j ACCEPT
step "-R"
each -D INPUT $rule
step "-D"
each -I INPUT $rule
step "-I"
each -N own%
step "-N"
each -A own% $rule
step "-A to a new chain"
each -F own%
step "-F"
each -X own%
step "-X"
each -P FORWARD DROP
step "-P"
each -Z INPUT
step "-Z"
each -A FORWARD -s 203.0.113.% -j LOG --log-prefix "% "
step "-A with a new target"
each -A FORWARD -s 203.0.113.% -m ttl --ttl-eq 6% -j DROP
step "-A with a new match"
each -A FORWARD -s 203.0.113.% -m limit --limit %/min -j DROP
step "-A with limit"
each -A FORWARD -m recent --name list% --set
step "-A with recent"
each -t nat -A PREROUTING -d 192.0.2.10 -p tcp --dport 900% -j DNAT --to-destination 198.51.100.20:80
step "-t nat -A"
each -t nat -D PREROUTING -d 192.0.2.10 -p tcp --dport 900% -j DNAT --to-destination 198.51.100.20:80
step "-t nat -D"
each -t mangle -A PREROUTING -s 203.0.113.% -j MARK --set-mark %
step "-t mangle -A"
each -t mangle -N own%
step "-t mangle -N"
