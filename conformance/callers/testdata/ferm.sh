# ferm: a host and a router, interactive, slow and fast mode, changed, flushed.
# It calls iptables-legacy by that name, in /usr/sbin, where there is one. Ours is put there, and netfilter's own stays
# in PATH.
case $programs in ours | served)
	mkdir real
	for family in iptables ip6tables; do
		for kind in "" -save -restore; do
			ln -s /usr/sbin/xtables-legacy-multi real/$family-legacy$kind
			ln -sfn "$BIN/xtables-bpf-multi" /usr/sbin/$family-legacy$kind
		done
	done
	PATH=$PWD/real:$PATH
	;;
esac
cat >one.ferm <<T
@def \$DEV_WORLD = eth0;
@def \$DEV_LAN = eth1;
@def \$NET_LAN = 198.51.100.0/24;
@def &FORWARD_TCP(\$proto, \$port, \$dest) = {
    table filter chain FORWARD interface \$DEV_WORLD outerface \$DEV_LAN daddr \$dest proto \$proto dport \$port ACCEPT;
    table nat chain PREROUTING interface \$DEV_WORLD proto \$proto dport \$port DNAT to \$dest;
}
domain (ip ip6) table filter {
    chain INPUT {
        policy DROP;
        mod state state INVALID DROP;
        mod state state (ESTABLISHED RELATED) ACCEPT;
        interface lo ACCEPT;
        proto tcp dport (ssh http https) ACCEPT;
        proto tcp dport 113 REJECT reject-with tcp-reset;
        proto tcp syn mod limit limit 10/s limit-burst 20 mod hashlimit hashlimit 5/min hashlimit-mode srcip hashlimit-name syn RETURN;
    }
    chain OUTPUT policy ACCEPT;
    chain FORWARD {
        policy DROP;
        mod state state INVALID DROP;
        mod state state (ESTABLISHED RELATED) ACCEPT;
        interface \$DEV_LAN ACCEPT;
        LOG log-prefix "forward: " log-level info;
    }
}
domain ip table filter chain INPUT {
    proto icmp icmp-type (echo-request destination-unreachable) ACCEPT;
    saddr (192.0.2.0/24 203.0.113.0/24) proto udp dport 161 ACCEPT;
}
domain ip6 table filter chain INPUT proto icmpv6 ACCEPT;
domain ip {
    table nat chain POSTROUTING saddr \$NET_LAN outerface \$DEV_WORLD MASQUERADE;
    table mangle chain FORWARD proto tcp tcp-flags (SYN RST) SYN TCPMSS clamp-mss-to-pmtu;
    table mangle chain PREROUTING interface eth1 MARK set-mark 7;
    &FORWARD_TCP(tcp, http, 198.51.100.20);
    &FORWARD_TCP(udp, (domain 5353), 198.51.100.21);
}
T
sed -e 's/(ssh http https)/(ssh https 8443)/' -e 's/set-mark 7/set-mark 9/' one.ferm >two.ferm
echo 'table filter chain INPUT proto tcp dport 99999 ACCEPT;' >bad.ferm
f() { run ferm "$@"; }
f --noexec --lines one.ferm
f one.ferm
step fast
f --slow two.ferm
step slow
f bad.ferm
step refused
f one.ferm
step again
f --domain ip6 two.ferm
step ip6
f --flush two.ferm
step flushed
