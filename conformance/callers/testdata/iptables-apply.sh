# iptables-apply: rules that the user confirms, that he does not, that are refused; a command instead of rules.
rm -f /etc/init.d/fail2ban # which it would stop
a() { local say=$1; shift; echo "$say" | run iptables-apply -t 60 "$@"; }
printf '*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n' >one
printf '*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:new - [0:0]\n-A INPUT -j new\n-A new -s 192.0.2.0/24 -j ACCEPT\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080\nCOMMIT\n' >two
printf '*filter\n-A INPUT -j nowhere\nCOMMIT\n' >bad
printf '#!/bin/sh\niptables -F\niptables -A INPUT -p tcp --dport 443 -j ACCEPT\niptables -P FORWARD DROP\n' >command
printf '#!/bin/sh\niptables -A INPUT -p tcp --dport 443 -j ACCEPT\niptables -A INPUT --dport 443 -j ACCEPT\n' >broken
chmod +x command broken
# Its own temporary file has a name by chance.
run iptables -A OUTPUT -d 203.0.113.0/24 -j REJECT
a y one
step confirmed
a n two
step reverted
a y -w saved two
run sed -e /^#/d -e 's/\[.*\]//' saved
step "confirmed and saved"
a y bad
step refused
a n -c ./command
step "command reverted"
a y -c ./command
step "command confirmed"
a y -c ./broken
step "command refused"
echo n | run ip6tables-apply -t 60 bad
