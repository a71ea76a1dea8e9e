# firewalld with its iptables backend, on a bus of its own: zones, services, rich rules, direct rules, sets, reload, end.
# N: 1 for IndividualCalls=yes.
[ "$N" = 1 ] && calls=yes || calls=no
sed -i -e 's/^FirewallBackend=.*/FirewallBackend=iptables/' -e "s/^IndividualCalls=.*/IndividualCalls=$calls/" /etc/firewalld/firewalld.conf
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/scenario/bus
cat >bus.conf <<T
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>$DBUS_SYSTEM_BUS_ADDRESS</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
T
dbus-daemon --config-file=bus.conf --nopidfile --fork --print-address >/dev/null 2>&1
c() { run firewall-cmd "$@"; }
# Its name on the bus is there when it is ready.
begin
firewalld --nofork --nopid 2>/dev/null >/dev/null &
daemon=$!
until firewall-cmd --state >/dev/null 2>&1; do kill -0 $daemon 2>/dev/null || break; done
c --state
step started
c --get-active-zones
c --zone=public --add-interface=eth0
c --zone=internal --change-interface=eth1
c --zone=public --add-service=https
c --zone=public --add-port=8080-8090/tcp
c --zone=public --add-masquerade
c --zone=public --add-forward-port=port=80:proto=tcp:toport=8080:toaddr=198.51.100.20
c --zone=public --add-rich-rule='rule family="ipv4" source address="203.0.113.0/24" service name="ssh" log prefix="ssh: " level="info" limit value="3/m" accept'
c --zone=public --add-rich-rule='rule family="ipv6" source address="2001:db8:1::/48" port port="161" protocol="udp" reject'
c --zone=public --add-icmp-block=echo-request
step runtime
c --direct --add-rule ipv4 filter INPUT 0 -p tcp --dport 9000 -j ACCEPT
c --direct --add-chain ipv4 filter extra
c --direct --add-rule ipv4 filter extra 1 -s 203.0.113.9 -j DROP
c --direct --passthrough ipv4 -t mangle -A POSTROUTING -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
c --direct --get-all-rules
step direct
c --permanent --new-ipset=blocked --type=hash:ip
c --permanent --ipset=blocked --add-entry=203.0.113.50
c --permanent --zone=drop --add-source=ipset:blocked
c --permanent --zone=public --add-service=http
c --permanent --new-policy=lan
c --permanent --policy=lan --add-ingress-zone=internal
c --permanent --policy=lan --add-egress-zone=public
c --permanent --policy=lan --set-target=ACCEPT
c --reload
step reloaded
c --zone=public --list-all
c --zone=public --remove-service=http
c --ipset=blocked --add-entry=203.0.113.51
c --set-log-denied=all
step changed
c --panic-on
step panic
c --panic-off
c --complete-reload
step "completely reloaded"
kill $daemon
wait $daemon
step stopped
