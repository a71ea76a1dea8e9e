package flood

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/cilium/ebpf/link"
)

// The interfaces, and the addresses of the host.
const (
	HostDevice = "net0"
	FarDevice  = "wire0"
	Address4   = "192.0.2.1"
	Address6   = "2001:db8:ffff::1"
	FarAddress = "192.0.2.2"
)

// keepDevice is an interface of the far end where nothing comes.
const keepDevice = "keep0"

// Host is a namespace that receives, and the one at the other end of its wire.
type Host struct {
	*Space
	Far  *Space
	sunk link.Link // of a router, see Route
}

// hostLines set up the host. All addresses of the benchmark ranges are local to it, so
// that packets to any of them meet INPUT. The NAPI of a veth, which live frames need,
// runs only with GRO on (drivers/net/veth.c, veth_set_features).
var hostLines = []string{
	"ip address add " + Address4 + "/24 dev " + HostDevice,
	"ip address add " + Address6 + "/64 dev " + HostDevice + " nodad",
	"ip link set " + HostDevice + " up",
	"ip link set lo up",
	"ip route add default dev " + HostDevice,
	"ip route add local 198.18.0.0/15 dev lo",
	"ip -6 route add local 2001:db8::/32 dev lo",
	"ethtool -K " + HostDevice + " gro on",
}

var farLines = []string{
	"ip address add " + FarAddress + "/24 dev " + FarDevice,
	"ip link set " + FarDevice + " up",
	"ip link set lo up",
	"ethtool -K " + FarDevice + " gro on",
	"ip link add " + keepDevice + " type veth peer name keep1",
}

// hostSettings let in packets whose source is an address of the host's own.
var hostSettings = map[string]string{
	"all/rp_filter": "0", HostDevice + "/rp_filter": "0", "all/accept_local": "1",
}

// NewHost makes the two namespaces. The name is part of theirs.
func NewHost(name string) (*Host, error) {
	prefix := fmt.Sprintf("bt-flood-%d-%s", os.Getpid(), name)
	space, err := newSpace(prefix)
	if err != nil {
		return nil, err
	}
	far, err := newSpace(prefix + "-far")
	if err != nil {
		return nil, errors.Join(err, space.Remove())
	}
	h := &Host{Space: space, Far: far}
	if err := h.setUp(); err != nil {
		return nil, errors.Join(err, h.Remove())
	}
	return h, nil
}

func (h *Host) setUp() error {
	link := []string{"ip", "link", "add", HostDevice, "type", "veth", "peer", "name", FarDevice, "netns", h.Far.Name}
	if err := h.Command(link...); err != nil {
		return err
	}
	for _, end := range []struct {
		space *Space
		lines []string
	}{{h.Space, hostLines}, {h.Far, farLines}} {
		for _, line := range end.lines {
			if err := end.space.Command(strings.Fields(line)...); err != nil {
				return err
			}
		}
	}
	if err := h.Far.quiet(); err != nil {
		return err
	}
	return h.Do(func() error {
		for name, value := range hostSettings {
			if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+name, []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// quiet keeps the far end from talking about IPv6: the host receives what is fed, and
// what far programs send by IPv4.
func (s *Space) quiet() error {
	return s.Do(func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/"+FarDevice+"/disable_ipv6", []byte("1"), 0)
	})
}

// Narrow leaves the host its own addresses alone, as usual hosts have it: packets are for
// them or to be forwarded, and the others may send.
func (h *Host) Narrow() error {
	return errors.Join(
		h.Command("ip", "route", "del", "local", "198.18.0.0/15", "dev", "lo"),
		h.Command("ip", "-6", "route", "del", "local", "2001:db8::/32", "dev", "lo"),
	)
}

// Device gives the interface of the host, from inside its namespace.
func (h *Host) Device() (*net.Interface, error) { return net.InterfaceByName(HostDevice) }

// Remove deletes the namespaces.
func (h *Host) Remove() error {
	err := errors.Join(h.Space.Remove(), h.Far.Remove())
	if h.sunk != nil {
		err = errors.Join(err, h.sunk.Close())
	}
	return err
}

// device gives an interface of a namespace.
func (s *Space) device(name string) (dev *net.Interface, err error) {
	err = s.Do(func() (err error) {
		dev, err = net.InterfaceByName(name)
		return err
	})
	return dev, err
}
