# fail2ban bans through a list of -m recent: with netfilter's programs by its own action, which writes to
# /proc/net/xt_recent, with ours by docs/examples/fail2ban/bpftables-recent.conf.
rm -f /etc/fail2ban/jail.d/*
action=iptables-xt_recent-echo
list() { cat "/proc/net/xt_recent/$1" 2>/dev/null; }
case $programs in ours | served)
	ln -s "$BIN/bpftables" /usr/sbin/bpftables
	cp "$EXAMPLES/fail2ban/bpftables-recent.conf" /etc/fail2ban/action.d/
	action=bpftables-recent
	list() { bpftables recent "$1" 2>/dev/null; }
	;;
esac
touch /run/scenario/log
cat >/etc/fail2ban/jail.local <<T
[sshd]
enabled = true
backend = polling
filter = sshd
logpath = /run/scenario/log
action = $action[name=sshd]
bantime = 3600
T
mkdir -p /run/fail2ban
f() { run fail2ban-client "$@"; }
lists() { for l in f2b-sshd f2b-sshd6; do run list $l; done; }
# wait for an address in a list, or its end
until_in() { until list $1 2>/dev/null | grep -q "$2"; do :; done; }
until_out() { while list $1 2>/dev/null | grep -q "$2"; do :; done; }
begin
f start
f set sshd banip 203.0.113.7
until_in f2b-sshd 203.0.113.7
f set sshd banip 203.0.113.8
until_in f2b-sshd 203.0.113.8
f set sshd banip 2001:db8::7
until_in f2b-sshd6 2001:0db8
step banned
lists
f set sshd unbanip 203.0.113.7
until_out f2b-sshd 203.0.113.7
step unbanned
lists
f stop
step stopped
lists
