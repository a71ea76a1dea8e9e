# libvirtd: its chains, a network with NAT, another that is isolated, their end. Written down from
# src/network/network_iptables.c and bridge_driver_linux.c of libvirt 10.
i() { run iptables -w "$@"; }
s() { run ip6tables -w "$@"; }
for t in i s; do
	for table in filter nat mangle; do $t --table $table --list-rules; done
	for c in INP:INPUT OUT:OUTPUT FWO:FORWARD FWI:FORWARD FWX:FORWARD; do
		$t --table filter --new-chain LIBVIRT_${c%:*}
		$t --table filter --insert ${c#*:} --jump LIBVIRT_${c%:*}
	done
	for table in nat mangle; do
		$t --table $table --new-chain LIBVIRT_PRT
		$t --table $table --insert POSTROUTING --jump LIBVIRT_PRT
	done
done
step chains
services() { # program how device ports of the host
	local t=$1 how=$2 d=$3 dhcp=$4 client=$5
	for p in tcp udp; do
		$t --table filter --$how LIBVIRT_INP --in-interface $d --protocol $p --destination-port $dhcp --jump ACCEPT
		$t --table filter --$how LIBVIRT_OUT --out-interface $d --protocol $p --destination-port $client --jump ACCEPT
		$t --table filter --$how LIBVIRT_INP --in-interface $d --protocol $p --destination-port 53 --jump ACCEPT
		$t --table filter --$how LIBVIRT_OUT --out-interface $d --protocol $p --destination-port 53 --jump ACCEPT
	done
	$t --table filter --$how LIBVIRT_FWO --in-interface $d --jump REJECT
	$t --table filter --$how LIBVIRT_FWI --out-interface $d --jump REJECT
	$t --table filter --$how LIBVIRT_FWX --in-interface $d --out-interface $d --jump ACCEPT
}
nat() { # how device network
	i --table filter --$1 LIBVIRT_FWO --source $3 --in-interface $2 --jump ACCEPT
	i --table filter --$1 LIBVIRT_FWI --destination $3 --out-interface $2 --match conntrack --ctstate ESTABLISHED,RELATED --jump ACCEPT
	i --table nat --$1 LIBVIRT_PRT --source $3 ! --destination $3 --jump MASQUERADE
	for p in udp tcp; do
		i --table nat --$1 LIBVIRT_PRT --source $3 -p $p ! --destination $3 --jump MASQUERADE --to-ports 1024-65535
	done
	i --table nat --$1 LIBVIRT_PRT --source $3 --destination 255.255.255.255/32 --jump RETURN
	i --table nat --$1 LIBVIRT_PRT --source $3 --destination 224.0.0.0/24 --jump RETURN
	i --table mangle --$1 LIBVIRT_PRT --out-interface $2 --protocol udp --destination-port 68 --jump CHECKSUM --checksum-fill
}
services i insert virbr0 67 68
nat insert virbr0 192.168.122.0/24
step network
services i insert virbr1 67 68
services s insert virbr1 547 546
step isolated
nat delete virbr0 192.168.122.0/24
services i delete virbr0 67 68
services i delete virbr0 67 68
step removed
i --table filter --list-rules
