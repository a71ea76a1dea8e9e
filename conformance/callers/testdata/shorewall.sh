# shorewall: two interfaces, start, reload, changed, blocked addresses, clear, stop; it probes what iptables can do.
mkdir -p /etc/shorewall /var/lib/shorewall /etc/shorewall6
cd /etc/shorewall
touch /var/log/messages
sed -i -e 's/^STARTUP_ENABLED=.*/STARTUP_ENABLED=Yes/' -e 's/^LOG_BACKEND=.*/LOG_BACKEND=/' shorewall.conf
cat >zones <<T
fw	firewall
net	ipv4
loc	ipv4
T
cat >interfaces <<T
?FORMAT 2
net	eth0	tcpflags,nosmurfs,routefilter,logmartians,sourceroute=0
loc	eth1	tcpflags,nosmurfs
T
cat >policy <<T
loc	net	ACCEPT
fw	all	ACCEPT
net	all	DROP	\$LOG_LEVEL
all	all	REJECT	\$LOG_LEVEL
T
cat >snat <<T
MASQUERADE	198.51.100.0/24	eth0
T
cat >rules <<T
?SECTION NEW
Ping(ACCEPT)	all	\$FW
SSH(ACCEPT)	net	\$FW	-	-	-	-	s:ssh:3/min:5
Web(ACCEPT)	loc	\$FW
DNAT	net	loc:198.51.100.20:80	tcp	8080
REDIRECT	loc	3128	tcp	80	-	!192.0.2.0/24
ACCEPT	net:203.0.113.0/24	\$FW	udp	161,162
DNS(ACCEPT)	\$FW	net
T
s() { run shorewall "$@" | sed '/^Compiled\|^\$/d'; }
s check
s start
step started
s status
s drop 203.0.113.5
s reject 203.0.113.6
s show dynamic
step blocked
s allow 203.0.113.5
printf 'ACCEPT	net	$FW	tcp	9000:9010\nACCEPT	net	$FW	tcp	25	-	-	s:mail:3/min:5\n' >>rules
s reload
step reloaded
s save
s show capabilities
s clear
step cleared
s restore
step restored
s stop
step stopped
