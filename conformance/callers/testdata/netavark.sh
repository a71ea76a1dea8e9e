# podman with netavark: networks, containers with published ports, their end. Written down from
# src/firewall/varktables of netavark 1.4 and the iptables crate that it calls through.
t() { run iptables --wait "$@"; }
chain() { t -t $1 -S; t -t $1 -N $2; } # looks for it in the list
put() { local table=$1; shift; t -t $table -C "$@"; t -t $table -A "$@"; }
remove() { local table=$1; shift; t -t $table -C "$@"; t -t $table -D "$@"; }
run iptables --version
network() { # chain device network
	chain nat $1
	put nat $1 -d $3 -j ACCEPT
	put nat $1 ! -d 224.0.0.0/4 -j MASQUERADE
	put nat POSTROUTING -s $3 -j $1
	chain filter NETAVARK_FORWARD
	put filter FORWARD -m comment --comment "netavark firewall rules" -j NETAVARK_FORWARD
	t -t filter -D NETAVARK_FORWARD -m conntrack --ctstate INVALID -j DROP
	t -t filter -I NETAVARK_FORWARD 1 -m conntrack --ctstate INVALID -j DROP
	put filter NETAVARK_FORWARD -d $3 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	put filter NETAVARK_FORWARD -s $3 -j ACCEPT
	chain filter NETAVARK_INPUT
	put filter INPUT -m comment --comment "netavark firewall rules" -j NETAVARK_INPUT
	put filter NETAVARK_INPUT -p udp -s $3 --dport 53 -j ACCEPT
}
network NETAVARK-1D8721804F16F podman0 10.88.0.0/16
step network
port() { # chain, network, port of the host, address, port
	for c in NETAVARK-HOSTPORT-SETMARK NETAVARK-HOSTPORT-MASQ NETAVARK-HOSTPORT-DNAT NETAVARK-DN-${1#NETAVARK-}; do chain nat $c; done
	put nat NETAVARK-HOSTPORT-SETMARK -j MARK --set-xmark 0x2000/0x2000
	put nat NETAVARK-HOSTPORT-MASQ -j MASQUERADE -m comment --comment "netavark portfw masq mark" -m mark --mark 0x2000/0x2000
	put nat POSTROUTING -j NETAVARK-HOSTPORT-MASQ
	put nat NETAVARK-DN-${1#NETAVARK-} -s $2 -p tcp --dport $3 -j NETAVARK-HOSTPORT-SETMARK
	put nat NETAVARK-DN-${1#NETAVARK-} -s 127.0.0.1 -p tcp --dport $3 -j NETAVARK-HOSTPORT-SETMARK
	put nat NETAVARK-DN-${1#NETAVARK-} -j DNAT -p tcp --to-destination $4:$5 --destination-port $3
	put nat NETAVARK-HOSTPORT-DNAT -j NETAVARK-DN-${1#NETAVARK-} -p tcp --dport $3 -m comment --comment "dnat name: podman id: 9e5a"
	put nat PREROUTING -j NETAVARK-HOSTPORT-DNAT -m addrtype --dst-type LOCAL
	put nat OUTPUT -j NETAVARK-HOSTPORT-DNAT -m addrtype --dst-type LOCAL
}
port NETAVARK-1D8721804F16F 10.88.0.0/16 8080 10.88.0.2 80
port NETAVARK-1D8721804F16F 10.88.0.0/16 8443 10.88.0.3 443
step ports
remove nat NETAVARK-HOSTPORT-DNAT -j NETAVARK-DN-1D8721804F16F -p tcp --dport 8080 -m comment --comment "dnat name: podman id: 9e5a"
remove nat NETAVARK-DN-1D8721804F16F -s 10.88.0.0/16 -p tcp --dport 8080 -j NETAVARK-HOSTPORT-SETMARK
remove nat NETAVARK-DN-1D8721804F16F -s 127.0.0.1 -p tcp --dport 8080 -j NETAVARK-HOSTPORT-SETMARK
remove nat NETAVARK-DN-1D8721804F16F -j DNAT -p tcp --to-destination 10.88.0.2:80 --destination-port 8080
step port
remove nat POSTROUTING -s 10.88.0.0/16 -j NETAVARK-1D8721804F16F
t -t nat -F NETAVARK-1D8721804F16F
t -t nat -X NETAVARK-1D8721804F16F
t -t nat -X NETAVARK-DN-1D8721804F16F
remove filter NETAVARK_FORWARD -d 10.88.0.0/16 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
remove filter NETAVARK_FORWARD -s 10.88.0.0/16 -j ACCEPT
step removed
