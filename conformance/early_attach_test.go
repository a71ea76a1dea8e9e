package conformance

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/conformance/lab"
)

// dropUDP drops what the frames of these tests are, and counts two rules on the way.
const dropUDP = `*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p udp
-A INPUT -p udp -m udp --dport 9 -j DROP
COMMIT
`

// wire is a host with one interface, and the far end of its cable.
type wire struct {
	t         *testing.T
	path      string // of bpftables
	host, far string // namespaces
	mac       net.HardwareAddr
}

var wires int

func newWire(t *testing.T) *wire {
	t.Helper()
	needRoot(t)
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	wires++
	base := fmt.Sprintf("bt-early-%d-%d", os.Getpid(), wires)
	w := &wire{t: t, path: a.(lab.Command).Path, host: base, far: base + "-far"}
	t.Cleanup(func() {
		_ = exec.Command("ip", "netns", "exec", w.host, w.path, "flush", "--all", "-w").Run()
		w.run("ip", "netns", "del", w.host)
		w.run("ip", "netns", "del", w.far)
	})
	w.run("ip", "netns", "add", w.host)
	w.run("ip", "netns", "add", w.far)
	w.cable("eth0", "198.18.0.1/24")
	w.mac = w.macOf("eth0")
	return w
}

// cable adds an interface to the host.
func (w *wire) cable(name, address string) {
	w.run("ip", "-n", w.host, "link", "add", name, "type", "veth", "peer", "name", "far-"+name, "netns", w.far)
	w.run("ip", "-n", w.host, "address", "add", address, "dev", name)
	w.run("ip", "-n", w.host, "link", "set", name, "up")
	w.run("ip", "-n", w.far, "link", "set", "far-"+name, "up")
}

func (w *wire) run(args ...string) string {
	w.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// bpftables runs a command on the host.
func (w *wire) bpftables(stdin string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", w.host, w.path}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// inside runs f in a namespace.
func (w *wire) inside(name string, f func() error) {
	w.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		ns, err := netns.GetFromName(name)
		if err == nil {
			err = netns.Set(ns)
			ns.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) macOf(name string) (mac net.HardwareAddr) {
	w.inside(w.host, func() error {
		dev, err := net.InterfaceByName(name)
		if err == nil {
			mac = dev.HardwareAddr
		}
		return err
	})
	return mac
}

// datagram is a frame with an empty UDP datagram, without a checksum.
func (w *wire) datagram(port uint16) []byte {
	b := make([]byte, 60)
	copy(b, w.mac)
	b[6] = 2
	binary.BigEndian.PutUint16(b[12:], unix.ETH_P_IP)
	ip, udp := b[14:34], b[34:]
	ip[0], ip[3], ip[8], ip[9] = 0x45, 28, 64, unix.IPPROTO_UDP
	copy(ip[12:], netip.MustParseAddr("198.18.0.2").AsSlice())
	copy(ip[16:], netip.MustParseAddr("198.18.0.1").AsSlice())
	binary.BigEndian.PutUint16(udp, 40000)
	binary.BigEndian.PutUint16(udp[2:], port)
	udp[5] = 8
	return sealed(b)
}

// sealed gives a frame its IP checksum.
func sealed(frame []byte) []byte {
	ip := frame[14 : 14+int(frame[14]&15)*4]
	ip[10], ip[11] = 0, 0
	sum := uint32(0)
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
	return frame
}

// send puts frames on the cable.
func (w *wire) send(name string, frames ...[]byte) {
	w.t.Helper()
	w.inside(w.far, func() error {
		dev, err := net.InterfaceByName("far-" + name)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, f := range frames {
			if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: dev.Index}); err != nil {
				return err
			}
		}
		return nil
	})
}

// await waits until the rules with counters that end in some text are in the save.
func (w *wire) await(lines ...string) {
	w.t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		save := w.bpftables("", "save", "-c")
		missing := ""
		for _, l := range lines {
			if !strings.Contains(save, l+"\n") {
				missing = l
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("no line %q in\n%s", missing, save)
		}
	}
}

func (w *wire) dropped() uint64 {
	w.t.Helper()
	n, err := earlyDropped(w.path, w.host)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// status wants texts in the status.
func (w *wire) status(texts ...string) {
	w.t.Helper()
	out := w.bpftables("", "status")
	for _, text := range texts {
		if !strings.Contains(out, text) {
			w.t.Errorf("no %q in the status:\n%s", text, out)
		}
	}
}

const (
	passed = "[%d:%d] -A INPUT -p udp"
	hit    = "[%d:%d] -A INPUT -p udp -m udp --dport 9 -j DROP"
)

func counted(format string, n int) string { return fmt.Sprintf(format, n, 28*n) }

func TestEarlyDropsAtTheDriver(t *testing.T) {
	for mode, how := range map[string]string{"xdp": "native", "tcx": "tcx", "exact": "tcx", "auto": "tcx"} {
		t.Run(mode, func(t *testing.T) {
			w := newWire(t)
			w.bpftables(dropUDP, "restore", "-w", "--early", mode)
			w.status("early stage: "+mode, "eth0            "+how)
			w.send("eth0", w.datagram(9), w.datagram(9), w.datagram(10))
			w.await(counted(hit, 2), counted(passed, 3), counted(":PREROUTING ACCEPT [%d:%d]", 3))
			if n := w.dropped(); n != 2 {
				t.Errorf("%d packets dropped early, not 2", n)
			}
		})
	}
}

func TestEarlyLeavesOddFrames(t *testing.T) {
	w := newWire(t)
	vlan := append(append(append([]byte{}, w.datagram(9)[:12]...), 0x81, 0, 0, 5), w.datagram(9)[12:]...)
	fragment := w.datagram(9)
	fragment[20] = 0x20 // more fragments
	options := append(append(append([]byte{}, w.datagram(9)[:34]...), 1, 1, 1, 0), w.datagram(9)[34:]...)
	options[14], options[17] = 0x46, 32
	other := w.datagram(9)
	other[0] ^= 4
	broadcast := w.datagram(9)
	copy(broadcast, []byte{255, 255, 255, 255, 255, 255})
	sum := w.datagram(9)
	sum[24]++
	cut := w.datagram(9)
	cut[39] = 9 // a UDP length beyond the packet
	frames := [][]byte{vlan, sealed(fragment), sealed(options), other, broadcast, sum, cut}
	var saves []string
	for _, mode := range []string{"off", "auto"} {
		w.bpftables(strings.Replace(dropUDP, "-A INPUT -p udp -m", "-A INPUT -p udp -m udp --dport 11\n-A INPUT -p udp -m", 1),
			"restore", "-w", "--early", mode)
		w.send("eth0", append(frames, w.datagram(9), w.datagram(11))...)
		w.await("[1:28] -A INPUT -p udp -m udp --dport 11")
		saves = append(saves, rulesOf(w.bpftables("", "save", "-c")))
	}
	if saves[0] != saves[1] {
		t.Errorf("without the early stage\n%s\nwith it\n%s", saves[0], saves[1])
	}
	if n := w.dropped(); n != 1 {
		t.Errorf("%d packets dropped early, not 1", n)
	}
}

// rulesOf leaves the comments out of a save.
func rulesOf(save string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(save, "\n"), func(l string) bool { return strings.HasPrefix(l, "#") }), "\n")
}

func TestEarlyKeepsForeignXDP(t *testing.T) {
	w := newWire(t)
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R0, 2), asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer pass.Close()
	var foreign link.Link
	w.inside(w.host, func() error {
		dev, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		foreign, err = link.AttachXDP(link.XDPOptions{Program: pass, Interface: dev.Index, Flags: link.XDPDriverMode})
		return err
	})
	defer foreign.Close()
	w.bpftables(dropUDP, "restore", "-w", "--early", "xdp")
	w.status("eth0            none: XDP program", "of another owner")
	w.send("eth0", w.datagram(9))
	w.await(counted(hit, 1))
	w.bpftables(dropUDP, "restore", "-w", "--early", "auto")
	w.send("eth0", w.datagram(9))
	w.await(counted(hit, 1))
	if n := w.dropped(); n != 1 {
		t.Errorf("%d packets dropped at tcx behind the foreign program, not 1", n)
	}
	if info, err := foreign.Info(); err != nil || info.XDP().Ifindex == 0 {
		t.Errorf("the foreign program was replaced: %v, %v", info, err)
	}
}

func TestEarlyYieldsToForeignHooks(t *testing.T) {
	w := newWire(t)
	w.bpftables(dropUDP, "restore", "-w", "--early", "auto")
	w.send("eth0", w.datagram(9))
	w.await(counted(hit, 1))
	before := w.dropped()
	// From here on, the first packet already meets the other chain.
	w.run("ip", "netns", "exec", w.host, "nft", "add table ip other; add chain ip other pre { type filter hook prerouting priority -350; }; add rule ip other pre udp dport 9 udp dport set 10")
	w.send("eth0", w.datagram(9))
	w.await(counted(passed, 2), counted(hit, 1))
	w.status("nft chain pre of table other stands at PREROUTING")
	w.bpftables(dropUDP, "restore", "-w")
	w.send("eth0", w.datagram(9))
	w.await(counted(passed, 1), counted(hit, 0))
	w.run("ip", "netns", "exec", w.host, "nft", "delete table ip other")
	w.bpftables(dropUDP, "restore", "-w")
	w.send("eth0", w.datagram(9))
	w.await(counted(hit, 1))
	if n := w.dropped(); n != before+1 {
		t.Errorf("%d packets dropped early, not %d", n, before+1)
	}
}

func TestEarlyYieldsToForeignRules(t *testing.T) {
	w := newWire(t)
	nat := "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n"
	w.bpftables(nat+dropUDP, "restore", "-w", "--early", "auto")
	w.send("eth0", w.datagram(9))
	w.await(counted(hit, 1))
	before := w.dropped()
	if before != 1 {
		t.Errorf("%d packets dropped early, not 1", before)
	}
	// A rule of another owner in a table that is there: no hook changes.
	w.run("ip", "netns", "exec", w.host, "iptables-legacy", "-t", "nat", "-I", "PREROUTING", "-p", "udp", "--dport", "9", "-j", "REDIRECT", "--to-ports", "10")
	w.send("eth0", w.datagram(9))
	w.await(counted(passed, 2), counted(hit, 1))
	w.status("netfilter's table nat has rules of another owner")
}

func TestEarlyAttachesAndLeaves(t *testing.T) {
	w := newWire(t)
	w.bpftables(dropUDP, "restore", "-w", "--early", "auto")
	w.cable("eth1", "198.18.1.1/24")
	w.status("eth1            none: interface")
	w.bpftables(dropUDP, "restore", "-w", "-n")
	w.status("eth1            tcx")
	w.run("ip", "-n", w.host, "link", "del", "eth1")
	w.bpftables(dropUDP, "restore", "-w", "-n")
	w.bpftables(dropUDP, "restore", "-w", "--early", "off")
	w.status("early stage: off")
	w.attached(0)
	w.bpftables(dropUDP, "restore", "-w") // the mode is kept
	w.attached(0)
	w.bpftables(dropUDP, "restore", "-w", "--early", "tcx")
	w.attached(1)
	w.bpftables("", "flush", "--all", "-w")
	w.attached(0)
	w.bpftables(dropUDP, "restore", "-w") // nobody asked since
	w.status("early stage: off")
	w.attached(0)
}

// attached wants a number of programs at the ingress of eth0.
func (w *wire) attached(want int) {
	w.t.Helper()
	w.inside(w.host, func() error {
		dev, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		q, err := link.QueryPrograms(link.QueryOptions{Target: dev.Index, Attach: ebpf.AttachTCXIngress})
		if err == nil && len(q.Programs) != want {
			err = fmt.Errorf("%d programs are attached, not %d", len(q.Programs), want)
		}
		return err
	})
}
