package conformance_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TPROXY hands packets for other hosts to a socket of this one, with a mark by which they are
// routed here; those for which there is no socket are dropped. Both as iptables-legacy does.
func TestTransparentProxy(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	rules := []byte(`*mangle
-A PREROUTING -p udp -m udp --dport 53 -j TPROXY --on-port 8053 --tproxy-mark 0x1/0xff
-A PREROUTING -p udp -m udp --dport 54 -j TPROXY --on-port 8054 --on-ip 127.0.0.1 --tproxy-mark 0x1
-A PREROUTING -p udp -m udp --dport 55 -j TPROXY --on-port 0 --tproxy-mark 0x1
-A PREROUTING -m mark --mark 0x1
-A FORWARD -o eth1 -j CLASSIFY --set-class 1:2
COMMIT
`)
	seen := func(a lab.Applier) (all []string) {
		l := newLab(t, binary)
		transparent(t, l.Host(), 8053, 8055)
		command(t, l.Host(), "", "ip", "rule", "add", "fwmark", "1", "lookup", "100")
		command(t, l.Host(), "", "ip", "route", "add", "local", "default", "dev", "lo", "table", "100")
		if err := a.Apply(l.Host(), packet.IPv4, rules); err != nil {
			t.Fatal(err)
		}
		for _, port := range []int{53, 54, 55, 8055, 56} {
			all = append(all, events(t, l, fmt.Sprintf("udp 198.18.0.2:5000 > 198.18.1.7:%d in eth0", port)))
		}
		return all
	}
	ours, theirs := seen(lab.Command{Path: binary}), seen(lab.Legacy{})
	for i := range ours {
		if ours[i] != theirs[i] {
			t.Errorf("packet %d: %s; iptables-legacy: %s", i, ours[i], theirs[i])
		}
	}
	if ours[0] == "" || ours[1] != "" || ours[2] != "" {
		t.Errorf("handed over: %q, without a socket: %q, %q", ours[0], ours[1], ours[2])
	}
}

// transparent opens sockets of UDP in a namespace that take packets for other hosts.
func transparent(t *testing.T, name string, ports ...int) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		ns, err := netns.GetFromName(name)
		if err == nil {
			err = errors.Join(netns.Set(ns), ns.Close())
		}
		for _, port := range ports {
			fd, failed := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			err = errors.Join(err, failed)
			t.Cleanup(func() { unix.Close(fd) })
			err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1), unix.Bind(fd, &unix.SockaddrInet4{Port: port}))
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
