package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// MaxInterfaces is how many interfaces the host may have besides lo.
const MaxInterfaces = 24

// Options say what the host of a lab has.
type Options struct {
	Interfaces []string // of the host; empty: eth0 and eth1
	Routes     []Route
}

// Route says where an address is: on the host itself, or behind an interface.
type Route struct {
	Prefix netip.Prefix
	Via    string // empty: local to the host
}

// Lab is a client, a host and a server. It is not safe for concurrent use.
type Lab struct {
	names [3]string // client, host, server
	ns    [3]netns.NsHandle
	ports []port
	taps  []*tap
	log   *logReader
	raw4  int
	raw6  int
	lo    int // packet socket of the host, for lo
	marks int // packet socket of the host that receives mark frames
	mark  uint32

	buffer    []byte
	answers   map[flow]uint32 // sequence numbers of the SYN,ACKs seen outside
	listeners []int
	received  uint32    // the mark that received packets get, see Mark
	out       []cameOut // with the last packet
}

// port is one interface of the host and its peer outside.
type port struct {
	name      string
	index     int // of the host's end
	peerIndex int
	outside   int // which namespace holds the peer
	socket    int // packet socket outside that sends on the peer
	group     uint32
}

// The namespaces of a lab.
const (
	client = iota
	host
	server
)

var created atomic.Int64

var reapOnce = sync.OnceFunc(reap)

// New builds a lab. Close removes it; after an error nothing is left.
func New(o Options) (*Lab, error) {
	if len(o.Interfaces) == 0 {
		o.Interfaces = []string{"eth0", "eth1"}
	}
	if len(o.Interfaces) > MaxInterfaces {
		return nil, fmt.Errorf("lab: %d interfaces; at most %d", len(o.Interfaces), MaxInterfaces)
	}
	l := &Lab{raw4: -1, raw6: -1, lo: -1, marks: -1}
	l.ns = [3]netns.NsHandle{-1, -1, -1}
	if err := l.build(o); err != nil {
		l.Close()
		return nil, fmt.Errorf("lab: %w", err)
	}
	return l, nil
}

func (l *Lab) build(o Options) error {
	reapOnce()
	base := fmt.Sprintf("bt-%d-%d", os.Getpid(), created.Add(1))
	for i, suffix := range []string{"c", "h", "s"} {
		if err := run("ip", "netns", "add", base+suffix); err != nil {
			return err
		}
		l.names[i] = base + suffix
		ns, err := netns.GetFromName(l.names[i])
		if err != nil {
			return err
		}
		l.ns[i] = ns
	}
	steps := []func() error{
		func() error { return l.inside(host, prepareHost) },
		func() error { return l.inside(client, prepareOutside) },
		func() error { return l.inside(server, prepareOutside) },
		func() error { return l.links(o.Interfaces) },
		func() error { return l.inside(host, func() error { return sysctls(routing) }) },
		func() error { return l.Route(o.Routes...) },
		func() error { return l.open() },
		func() error { return l.observe() },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Host is the name of the namespace that holds the rules.
func (l *Lab) Host() string { return l.names[host] }

// Interfaces are the names of the host's interfaces.
func (l *Lab) Interfaces() []string {
	var names []string
	for _, p := range l.ports {
		names = append(names, p.name)
	}
	return names
}

// Address is an address of the network at the i-th interface of the host,
// 198.18.I.N or 2001:db8:1ab:I::N. The host's own is number 1, that of the peer, which
// stands for all behind it, number 2.
func Address(i int, six bool, n byte) netip.Addr {
	if six {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0x01, 0xab, 0, byte(i), 15: n})
	}
	return netip.AddrFrom4([4]byte{198, 18, byte(i), n})
}

// Close removes the lab.
func (l *Lab) Close() error {
	for _, t := range l.taps {
		unix.Close(t.fd)
	}
	for _, p := range l.ports {
		unix.Close(p.socket)
	}
	for _, fd := range append(l.listeners, l.raw4, l.raw6, l.lo, l.marks) {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	if l.log != nil {
		l.log.close()
	}
	var errs []error
	for i, name := range l.names {
		if l.ns[i] >= 0 {
			l.ns[i].Close()
		}
		if name != "" {
			errs = append(errs, run("ip", "netns", "del", name))
		}
	}
	*l = Lab{}
	return errors.Join(errs...)
}

// inside runs a function in one of the namespaces.
func (l *Lab) inside(which int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := netns.Get()
	if err != nil {
		return err
	}
	defer here.Close()
	if err := netns.Set(l.ns[which]); err != nil {
		return err
	}
	defer netns.Set(here)
	return f()
}

// handle gives a netlink handle of a namespace, to be closed.
func (l *Lab) handle(which int) (*netlink.Handle, error) { return netlink.NewHandleAt(l.ns[which]) }

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
