# tailscaled: chains, hooks and rules of both families, a subnet route, its end. Written down from
# util/linuxfw/iptables_runner.go of Tailscale 1.60 and go-iptables.
run iptables --version
run iptables -t filter -S
run iptables -t nat -S
run ip6tables -t nat -S
for f in iptables ip6tables; do
	t() { run $f "$@" --wait; }
	clear() { t -t $1 -N $2 || t -t $1 -F $2; }
	hook() { t -t $1 -C $2 -j $3 || t -t $1 -I $2 1 -j $3; }
	for h in filter:INPUT:ts-input filter:FORWARD:ts-forward nat:POSTROUTING:ts-postrouting; do
		IFS=: read -r table c to <<<$h
		t -t $table -D $c -j $to
		clear $table $to
	done
	for h in filter:INPUT:ts-input filter:FORWARD:ts-forward nat:POSTROUTING:ts-postrouting; do
		IFS=: read -r table c to <<<$h
		hook $table $c $to
	done
	if [ $f = iptables ]; then
		t -t filter -A ts-input ! -i tailscale0 -s 100.115.92.0/23 -j RETURN
		t -t filter -A ts-input ! -i tailscale0 -s 100.64.0.0/10 -j DROP
	fi
	t -t filter -A ts-forward -i tailscale0 -j MARK --set-mark 0x40000/0xff0000
	t -t filter -A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT
	[ $f = ip6tables ] || t -t filter -A ts-forward -o tailscale0 -s 100.64.0.0/10 -j DROP
	t -t filter -A ts-forward -o tailscale0 -j ACCEPT
	t -t nat -A ts-postrouting -m mark --mark 0x40000/0xff0000 -j MASQUERADE
	address=100.101.102.103
	[ $f = iptables ] || address=fd7a:115c:a1e0::7
	t -t filter -I ts-input 1 -i lo -s $address -j ACCEPT
	t -t filter -A ts-input -p udp --dport 41641 -j ACCEPT
	step "$f up"
	t -t filter -C ts-forward -o tailscale0 -m conntrack ! --ctstate ESTABLISHED,RELATED -j DROP
	t -t filter -I ts-forward 1 -o tailscale0 -m conntrack ! --ctstate ESTABLISHED,RELATED -j DROP
	t -t mangle -A FORWARD -o tailscale0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
	t -t nat -I PREROUTING 1 --destination $address -j DNAT --to-destination $address
	step "$f routes"
	t -t nat -D PREROUTING --destination $address -j DNAT --to-destination $address
	t -t mangle -D FORWARD -o tailscale0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
	t -t filter -D ts-input -i lo -s $address -j ACCEPT
	for h in filter:INPUT:ts-input filter:FORWARD:ts-forward nat:POSTROUTING:ts-postrouting; do
		IFS=: read -r table c to <<<$h
		t -t $table -C $c -j $to
		t -t $table -D $c -j $to
		t -t $table -F $to
		t -t $table -X $to
	done
	step "$f down"
done
