# wg-quick with a default route: rules of two interfaces by iptables-restore, taken away by what iptables-save shows.
# Written down from its add_default() and remove_firewall(); the kernel need not know WireGuard.
up() { # program interface address mark
	run $1-restore -n <<-T
		*raw
		-I PREROUTING ! -i $2 -d $3 -m addrtype ! --src-type LOCAL -j DROP -m comment --comment "wg-quick(8) rule for $2"
		COMMIT
		*mangle
		-I POSTROUTING -m mark --mark $4 -p udp -j CONNMARK --save-mark -m comment --comment "wg-quick(8) rule for $2"
		-I PREROUTING -p udp -j CONNMARK --restore-mark -m comment --comment "wg-quick(8) rule for $2"
		COMMIT
	T
}
down() {
	local p line found restore
	for p in iptables ip6tables; do
		restore= found=
		while read -r line; do
			[[ $line == "*"* || $line == COMMIT || $line == "-A "*"-m comment --comment \"wg-quick(8) rule for $1\""* ]] || continue
			[[ $line != "-A"* ]] || found=1
			restore+="${line/#-A/-D}"$'\n'
		done < <($p-save 2>/dev/null)
		[ -z "$found" ] || run $p-restore -n <<<"$restore"
	done
}
up iptables wg0 10.7.0.2/32 51820
up ip6tables wg0 fd00:7::2/128 51820
step up
up iptables wg1 10.8.0.2/32 51821
step two
down wg0
step down
up iptables wg0 10.7.0.2/32 51820
down wg1
down wg0
step none
