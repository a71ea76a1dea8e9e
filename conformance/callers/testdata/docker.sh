# dockerd: its start with one bridge, a network, containers with published ports, their end, a reload of its chains.
# Written down from libnetwork of Moby 24 (drivers/bridge/setup_ip_tables.go, firewall_linux.go, portmapper, iptables).
t() { run iptables --wait "$@"; }
# check, then insert or append
put() { local how=$1 table=$2; shift 2; t -t $table -C "$@"; t -t $table $how "$@"; }
remove() { local table=$1; shift; t -t $table -C "$@"; t -t $table -D "$@"; }

run iptables --version
t -L -n
t -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
t -t nat -D OUTPUT -m addrtype --dst-type LOCAL ! --dst 127.0.0.0/8 -j DOCKER
t -t nat -D OUTPUT -m addrtype --dst-type LOCAL -j DOCKER
t -t nat -D PREROUTING -j DOCKER
t -t nat -D OUTPUT -j DOCKER
for c in nat:DOCKER filter:DOCKER filter:DOCKER-ISOLATION-STAGE-1 filter:DOCKER-ISOLATION-STAGE-2 filter:DOCKER-ISOLATION; do
	t -t ${c%:*} -F ${c#*:}
	t -t ${c%:*} -X ${c#*:}
done
for c in nat:DOCKER filter:DOCKER filter:DOCKER-ISOLATION-STAGE-1 filter:DOCKER-ISOLATION-STAGE-2; do
	t -t ${c%:*} -n -L ${c#*:}
	t -t ${c%:*} -N ${c#*:}
done
put -A filter DOCKER-ISOLATION-STAGE-1 -j RETURN
put -A filter DOCKER-ISOLATION-STAGE-2 -j RETURN
step chains

# A bridge network: its device and subnet.
bridge() {
	put -I nat POSTROUTING -s $2 ! -o $1 -j MASQUERADE
	put -I nat DOCKER -i $1 -j RETURN
	t -D FORWARD -i $1 -o $1 -j DROP
	put -I filter FORWARD -i $1 -o $1 -j ACCEPT
	put -I filter FORWARD -i $1 ! -o $1 -j ACCEPT
	put -A nat PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
	put -A nat OUTPUT -m addrtype --dst-type LOCAL -j DOCKER ! --dst 127.0.0.0/8
	put -I filter FORWARD -o $1 -j DOCKER
	put -I filter FORWARD -o $1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	t -t filter -C FORWARD -j DOCKER-ISOLATION-STAGE-1
	t -D FORWARD -j DOCKER-ISOLATION-STAGE-1
	t -I FORWARD -j DOCKER-ISOLATION-STAGE-1
	put -I filter DOCKER-ISOLATION-STAGE-1 -i $1 ! -o $1 -j DOCKER-ISOLATION-STAGE-2
	put -I filter DOCKER-ISOLATION-STAGE-2 -o $1 -j DROP
}
user() {
	t -t filter -n -L DOCKER-USER
	t -t filter -N DOCKER-USER
	put -A filter DOCKER-USER -j RETURN
	t -t filter -C FORWARD -j DOCKER-USER
	t -D FORWARD -j DOCKER-USER
	t -I FORWARD -j DOCKER-USER
}
bridge docker0 172.17.0.0/16
t -P FORWARD DROP
user
step started

# A published port: bridge, port of the host, address and port of the container, protocol.
publish() {
	put -A nat DOCKER -p $5 -d 0/0 --dport $2 -j DNAT --to-destination $3:$4 ! -i $1
	put -A filter DOCKER ! -i $1 -o $1 -p $5 -d $3 --dport $4 -j ACCEPT
	put -A nat POSTROUTING -p $5 -s $3 -d $3 --dport $4 -j MASQUERADE
}
unpublish() {
	remove nat DOCKER -p $5 -d 0/0 --dport $2 -j DNAT --to-destination $3:$4 ! -i $1
	remove filter DOCKER ! -i $1 -o $1 -p $5 -d $3 --dport $4 -j ACCEPT
	remove nat POSTROUTING -p $5 -s $3 -d $3 --dport $4 -j MASQUERADE
}
publish docker0 8080 172.17.0.2 80 tcp
publish docker0 5353 172.17.0.3 53 udp
step containers
bridge br-0123456789ab 172.18.0.0/16
publish br-0123456789ab 8443 172.18.0.2 443 tcp
t -t filter -I DOCKER-USER -s 203.0.113.0/24 -j DROP
step network
unpublish docker0 8080 172.17.0.2 80 tcp
unpublish br-0123456789ab 8443 172.18.0.2 443 tcp
remove filter DOCKER-ISOLATION-STAGE-2 -o br-0123456789ab -j DROP
remove nat POSTROUTING -s 172.18.0.0/16 ! -o br-0123456789ab -j MASQUERADE
remove filter FORWARD -i br-0123456789ab -o br-0123456789ab -j ACCEPT
step removed
t -t nat -S DOCKER
t -S
t -t nat -n -v -L DOCKER
