# The CNI plugin portmap: two containers with published ports, and their end; the plugin firewall beside it. Written
# down from plugins/meta/portmap and plugins/meta/firewall of CNI's plugins 1.4 and go-iptables.
t() { run iptables "$@" --wait; }
run iptables --version
exists() { t -t $1 -S $2 1; }
chain() { exists $1 $2 || t -t $1 -N $2; }
put() { local how=$1 table=$2 c=$3; shift 3; t -t $table -C $c "$@" || t -t $table $how $c "$@"; }
first() { local table=$1 c=$2; shift 2; t -t $table -C $c "$@" || t -t $table -I $c 1 "$@"; }
top() {
	chain nat CNI-HOSTPORT-DNAT
	put -A nat PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
	put -A nat OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
	chain nat CNI-HOSTPORT-SETMARK
	put -A nat CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000
	chain nat CNI-HOSTPORT-MASQ
	put -A nat CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
	first nat POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
}
container() { # chain address ports
	top
	chain nat $1
	first nat CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \"net\" id: \"${1#CNI-DN-}\"" -m multiport -p tcp --destination-ports 8080,8043 -j $1
	for p in 8080:80 8043:443; do
		put -A nat $1 -p tcp --dport ${p%:*} -s $2/16 -j CNI-HOSTPORT-SETMARK
		put -A nat $1 -p tcp --dport ${p%:*} -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK
		put -A nat $1 -p tcp --dport ${p%:*} -j DNAT --to-destination $2:${p#*:}
	done
}
firewall() {
	for c in CNI-FORWARD CNI-ADMIN; do chain filter $c; done
	first filter FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
	first filter CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN
	put -A filter CNI-FORWARD -d $1/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	put -A filter CNI-FORWARD -s $1/32 -j ACCEPT
}
container CNI-DN-6c7d1ba2a3f6c7fa1b2c3 172.16.30.2
firewall 172.16.30.2
step one
container CNI-DN-aaaabbbbccccddddeeeef 172.16.30.3
firewall 172.16.30.3
step two
t -t nat -S CNI-HOSTPORT-DNAT
t -t nat -D CNI-HOSTPORT-DNAT -m comment --comment 'dnat name: "net" id: "6c7d1ba2a3f6c7fa1b2c3"' -m multiport -p tcp --destination-ports 8080,8043 -j CNI-DN-6c7d1ba2a3f6c7fa1b2c3
exists nat CNI-DN-6c7d1ba2a3f6c7fa1b2c3
t -t nat -F CNI-DN-6c7d1ba2a3f6c7fa1b2c3
t -t nat -X CNI-DN-6c7d1ba2a3f6c7fa1b2c3
t -t nat -D OUTPUT -m addrtype --dst-type LOCAL -j CNI-DN-6c7d1ba2a3f6c7fa1b2c3
t -t filter -D CNI-FORWARD -s 172.16.30.2/32 -j ACCEPT
t -t filter -D CNI-FORWARD -d 172.16.30.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
t -t filter -D CNI-FORWARD -s 172.16.30.2/32 -j ACCEPT
step removed
t -t nat -X CNI-HOSTPORT-DNAT
t -t nat -S no-such-chain 1
