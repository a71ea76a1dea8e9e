package conformance_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// movedRules say something of each port by another part of a generation: BPF, a target that
// netfilter runs, a table that netfilter runs as a whole.
const movedRules = `*nat
-A OUTPUT -p udp --dport 1003 -j REDIRECT --to-ports 1000
COMMIT
*mangle
-A OUTPUT -p udp --dport 1004 -j MARK --set-mark 7
COMMIT
*filter
:INPUT DROP [0:0]
-A INPUT -p udp --dport 1000 -j ACCEPT
-A INPUT -p udp --dport 1002 -j NFLOG --nflog-group 9
-A INPUT -p udp --dport 1002 -j ACCEPT
-A INPUT -p udp --dport 1004:1005 -m mark --mark 7 -j ACCEPT
COMMIT
`

// arrives says at which port what is sent to a port arrives; 0: nowhere.
var arrives = map[int]int{1000: 1000, 1001: 0, 1002: 1002, 1003: 1000, 1004: 1004, 1005: 0}

// While rules are taken over and given back no packet gets another verdict.
func TestTakeoverHoldsThroughout(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	for _, variant := range []string{"iptables-legacy", "iptables-nft"} {
		t.Run(variant, func(t *testing.T) {
			l := newLab(t, binary)
			command(t, l.Host(), movedRules, variant+"-restore")
			s := newSender(t, l.Host())
			s.probe()
			for range 3 {
				for _, word := range []string{"takeover", "give-back"} {
					before := s.sent
					s.during(exec.Command("ip", "netns", "exec", l.Host(), binary, word, "-4", "-w", "60"))
					if s.sent == before {
						t.Error("nothing was sent while rules were moved")
					}
				}
			}
			t.Logf("%d packets", s.sent)
		})
	}
}

// sender sends packets to its own host, through loopback: what arrives is there at once.
type sender struct {
	t    *testing.T
	from int
	at   map[int]int // sockets by port
	sent int
}

func newSender(t *testing.T, namespace string) *sender {
	t.Helper()
	runtime.LockOSThread() // and the thread ends with the test
	ns, err := netns.GetFromName(namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		t.Fatal(err)
	}
	s := &sender{t: t, from: bound(t, 999), at: map[int]int{}}
	for to := range arrives {
		s.at[to] = bound(t, to)
	}
	return s
}

// bound is a socket at a port.
func bound(t *testing.T, port int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, loopback(port)); err != nil {
		t.Fatal(err)
	}
	return fd
}

func loopback(port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: port, Addr: [4]byte(net.IPv4(127, 0, 0, 1).To4())}
}

// during sends until a command has ended.
func (s *sender) during(cmd *exec.Cmd) {
	s.t.Helper()
	cmd.Env = append(os.Environ(), "BPFTABLES_NO_SERVE=1")
	ended := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }()
	for {
		s.probe()
		select {
		case err := <-ended:
			if err != nil {
				s.t.Fatalf("%v: %v", cmd.Args, err)
			}
			return
		default:
		}
	}
}

// probe sends one packet to each port.
func (s *sender) probe() {
	s.t.Helper()
	for to, at := range arrives {
		s.sent++
		if err := unix.Sendto(s.from, []byte{1}, 0, loopback(to)); err != nil {
			s.t.Errorf("port %d: %v", to, err)
		}
		switch {
		case at != 0 && !s.received(at):
			s.t.Fatalf("packet %d, to port %d, was dropped", s.sent, to)
		case at == 0 && s.received(to):
			s.t.Fatalf("packet %d, to port %d, was accepted", s.sent, to)
		}
	}
}

func (s *sender) received(port int) bool {
	s.t.Helper()
	_, _, err := unix.Recvfrom(s.at[port], make([]byte, 1), 0)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		s.t.Fatal(err)
	}
	return err == nil
}
