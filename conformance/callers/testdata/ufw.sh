# ufw as people use it: set up, on, rules of all kinds, changed, reloaded, off.
u() { run ufw "$@"; }
u --force enable
step enabled
u default deny incoming
u default allow outgoing
u allow 22/tcp
u allow from 192.0.2.0/24 to any port 443 proto tcp
u limit ssh
u deny out 25/tcp
u allow in on eth0 to any port 80 proto tcp
u allow 6000:6007/udp
u allow proto tcp from any to any port 8080,8443
u reject from 203.0.113.0/24
u allow from 2001:db8:1::/48 to any port 53
u route allow in on eth0 out on eth1 to 198.51.100.0/24 port 80 proto tcp
step rules
u insert 1 deny from 203.0.113.7
u delete allow 6000:6007/udp
u delete 2
u status
u status numbered
u status verbose
step changed
u logging medium
u logging high
step logging
u reload
step reloaded
u show raw
u show added
u logging off
u disable
step disabled
u --force enable
u --force reset
step reset
