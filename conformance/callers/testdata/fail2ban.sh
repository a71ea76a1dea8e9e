# fail2ban with a jail for each of its actions that use iptables or ipset: bans, ends of bans, reload, stop.
# recent: fail2ban's own action writes to /proc/net/xt_recent.
actions="iptables iptables-multiport iptables-allports iptables-new iptables-multiport-log iptables-ipset iptables-ipset-proto4 iptables-ipset-proto6 iptables-ipset-proto6-allports"
rm -f /etc/fail2ban/jail.d/*
cat >/etc/fail2ban/jail.local <<T
[DEFAULT]
backend = polling
bantime = 3600
ignoreip = 127.0.0.1/8
allowipv6 = auto
T
touch /run/scenario/log
for a in $actions; do
	port=22,80
	case $a in iptables | iptables-new) port=22 ;; esac
	cat <<T >>/etc/fail2ban/jail.local
[$a]
enabled = true
filter = sshd
logpath = /run/scenario/log
port = $port
protocol = tcp
action = $a[name=$a, port="$port", protocol=tcp]
T
done
mkdir -p /run/fail2ban
f() { run fail2ban-client "$@"; }
# A ban is an order; it is done when the server says so.
sed -i 's/^loglevel.*/loglevel = DEBUG/' /etc/fail2ban/fail2ban.conf
ban() { f set "$1" banip "$2"; until [ -n "$(fail2ban-client get "$1" banip | grep -F "$2")" ]; do :; done; settled; }
unban() { f set "$1" unbanip "$2"; settled; }
# The threads of the actions have run everything when a ban of another address in the same jail would have to wait: the
# server's log ends with the end of the last command.
settled() {
	local before=
	while :; do
		now=$(grep -c -e "returned successfully" -e "Failed to execute" -e "returned [0-9]" /var/log/fail2ban.log)
		want=$(grep -c "exec: " /var/log/fail2ban.log)
		[ "$now" -ge "$want" ] && [ "$now" = "$before" ] && break
		before=$now
		sleep 0.1
	done
}
begin
f start
step started
for a in $actions; do
	ban $a 203.0.113.7
	ban $a 2001:db8::7
done
step banned
for a in $actions; do
	ban $a 203.0.113.8
	unban $a 203.0.113.7
done
step unbanned
f status
f status iptables-multiport
f reload
settled
step reloaded
f unban --all
settled
step "unbanned all"
f stop
step stopped
