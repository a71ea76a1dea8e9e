package iptables

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// lookupTimeout bounds a question to the name servers.
const lookupTimeout = 10 * time.Second

// System is the Resolver and the Names of a host, read from its files; hosts that are
// in no file are asked of the name servers. A file is read when first asked for. It
// may be used by several goroutines.
type System struct {
	root  string // "" or the directory that stands for /
	hosts Hosts

	services  func() []service
	protocols func() []named
	users     func() []named
	groups    func() []named
	networks  func() []named

	mu    sync.Mutex
	files map[string][]named
}

var (
	_ ruleset.Resolver = (*System)(nil)
	_ ruleset.Names    = (*System)(nil)
)

// Hosts answers what the files of a host and its name servers know of hosts, as a
// net.Resolver does.
type Hosts interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// service is one line of /etc/services.
type service struct {
	names []string
	port  uint16
	proto string
}

// named is a number with its names: the first is the one to print.
type named struct {
	number uint32
	names  []string
}

// NewResolver gives the names of this host: /etc/services, /etc/protocols, users,
// groups, networks, hosts and the name files of iproute2.
func NewResolver() *System { return newSystem("", net.DefaultResolver) }

// NewResolverAsking gives the names of this host, with answers about hosts from another
// place.
func NewResolverAsking(hosts Hosts) *System { return newSystem("", hosts) }

func newSystem(root string, hosts Hosts) *System {
	s := &System{root: root, hosts: hosts, files: map[string][]named{}}
	s.services = sync.OnceValue(s.readServices)
	s.protocols = sync.OnceValue(func() []named { return s.readNamed("/etc/protocols", nameFirst) })
	s.users = sync.OnceValue(func() []named { return s.readNamed("/etc/passwd", colons) })
	s.groups = sync.OnceValue(func() []named { return s.readNamed("/etc/group", colons) })
	s.networks = sync.OnceValue(func() []named { return s.readNamed("/etc/networks", network) })
	return s
}

// lines gives the lines of a file without comments; a file that is not there is empty.
func (s *System) lines(path string) []string {
	text, err := os.ReadFile(filepath.Join(s.root, path))
	if err != nil {
		return nil
	}
	return strings.Split(string(text), "\n")
}

func (s *System) readNamed(path string, parse func(line string) (named, bool)) []named {
	var all []named
	for _, l := range s.lines(path) {
		if n, ok := parse(l); ok {
			all = append(all, n)
		}
	}
	return all
}

func uncommented(l string) []string {
	l, _, _ = strings.Cut(l, "#")
	return strings.Fields(l)
}

// nameFirst is a line of /etc/protocols: name, number, aliases.
func nameFirst(l string) (n named, ok bool) {
	w := uncommented(l)
	if len(w) < 2 {
		return n, false
	}
	number, err := strconv.ParseUint(w[1], 10, 32)
	n = named{number: uint32(number), names: append([]string{w[0]}, w[2:]...)}
	return n, err == nil
}

// colons is a line of /etc/passwd or /etc/group.
func colons(l string) (n named, ok bool) {
	w := strings.SplitN(l, ":", 4)
	if len(w) < 3 {
		return n, false
	}
	number, err := strconv.ParseUint(w[2], 10, 32)
	return named{number: uint32(number), names: w[:1]}, err == nil && w[0] != ""
}

// network is a line of /etc/networks; its number is the address, filled up with zeros.
func network(l string) (n named, ok bool) {
	w := uncommented(l)
	if len(w) < 2 {
		return n, false
	}
	parts := strings.Split(w[1], ".")
	if len(parts) > 4 {
		return n, false
	}
	for i := range 4 {
		n.number <<= 8
		if i < len(parts) {
			b, err := strconv.ParseUint(parts[i], 10, 8)
			if err != nil {
				return n, false
			}
			n.number |= uint32(b)
		}
	}
	n.names = append([]string{w[0]}, w[2:]...)
	return n, true
}

// numberFirst is a line of the name files of iproute2 as xtables_lmap_init() reads
// them (libxtables/xtoptions.c): number, decimal or hexadecimal, up to 255, and name.
func numberFirst(l string) (n named, ok bool) {
	w := strings.Fields(l)
	if len(w) < 2 || w[0][0] == '#' || w[1][0] == '#' {
		return n, false
	}
	digits, base := w[0], 10
	if strings.HasPrefix(digits, "0x") {
		digits, base = digits[2:], 16
	}
	number, err := strconv.ParseUint(digits, base, 32)
	return named{number: uint32(number), names: w[1:2]}, err == nil && number <= 255
}

func (s *System) readServices() []service {
	var all []service
	for _, l := range s.lines("/etc/services") {
		w := uncommented(l)
		if len(w) < 2 {
			continue
		}
		port, proto, _ := strings.Cut(w[1], "/")
		n, err := strconv.ParseUint(port, 10, 16)
		if err == nil {
			all = append(all, service{append([]string{w[0]}, w[2:]...), uint16(n), proto})
		}
	}
	return all
}

func find(all []named, name string) (uint32, bool) {
	for _, n := range all {
		for _, have := range n.names {
			if have == name {
				return n.number, true
			}
		}
	}
	return 0, false
}

func findNumber(all []named, number uint32) (string, bool) {
	for _, n := range all {
		if n.number == number {
			return n.names[0], true
		}
	}
	return "", false
}

// Port finds a service as getservbyname() does; an empty proto means any.
func (s *System) Port(name, proto string) (uint16, bool) {
	for _, v := range s.services() {
		if proto != "" && v.proto != proto {
			continue
		}
		for _, have := range v.names {
			if have == name {
				return v.port, true
			}
		}
	}
	return 0, false
}

// Service finds a port as getservbyport() does; an empty proto means any.
func (s *System) Service(port uint16, proto string) (string, bool) {
	for _, v := range s.services() {
		if v.port == port && (proto == "" || v.proto == proto) {
			return v.names[0], true
		}
	}
	return "", false
}

// Protocol finds a protocol by name or alias.
func (s *System) Protocol(name string) (uint8, bool) {
	n, ok := find(s.protocols(), name)
	return uint8(n), ok && n <= 255
}

// ProtocolName is the name of a protocol number.
func (s *System) ProtocolName(number uint8) (string, bool) {
	return findNumber(s.protocols(), uint32(number))
}

// User finds a user by name.
func (s *System) User(name string) (uint32, bool) { return find(s.users(), name) }

// Group finds a group by name.
func (s *System) Group(name string) (uint32, bool) { return find(s.groups(), name) }

// UserName is the name of a user id.
func (s *System) UserName(id uint32) (string, bool) { return findNumber(s.users(), id) }

// GroupName is the name of a group id.
func (s *System) GroupName(id uint32) (string, bool) { return findNumber(s.groups(), id) }

// Host gives the addresses of a network of /etc/networks, or of a host.
func (s *System) Host(name string, family packet.Family) ([]string, error) {
	network := "ip6"
	if family == packet.IPv4 {
		network = "ip4"
		if n, ok := find(s.networks(), name); ok {
			return []string{netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()}, nil
		}
	}
	// net takes "::" for an address of IPv4, too.
	if a, err := netip.ParseAddr(name); err == nil && a.Unmap().Is4() != (family == packet.IPv4) {
		return nil, fmt.Errorf("host %q: it is an address of the other family", name)
	}
	ctx, stop := context.WithTimeout(context.Background(), lookupTimeout)
	defer stop()
	addrs, err := s.hosts.LookupNetIP(ctx, network, name)
	if err != nil {
		return nil, fmt.Errorf("host %q: %w", name, err)
	}
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.Unmap().String()
	}
	return texts, nil
}

// Address is the name of a host, or of a network of /etc/networks.
func (s *System) Address(a netip.Addr) (string, bool) {
	ctx, stop := context.WithTimeout(context.Background(), lookupTimeout)
	defer stop()
	if names, err := s.hosts.LookupAddr(ctx, a.String()); err == nil && len(names) > 0 {
		return strings.TrimSuffix(names[0], "."), true
	}
	if !a.Is4() {
		return "", false
	}
	b := a.As4()
	return findNumber(s.networks(), uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3]))
}

// Named reads a name from a file of names: one of iproute2, or connlabel.conf.
func (s *System) Named(file, name string) (uint32, bool) { return find(s.nameFile(file), name) }

// Has says whether there is such a file, with names.
func (s *System) Has(file string) bool { return s.nameFile(file) != nil }

// NameIn is the name of a number in such a file.
func (s *System) NameIn(file string, number uint32) (string, bool) {
	return findNumber(s.nameFile(file), number)
}

// nameFile reads a file of names, from the first of its directories that has it.
func (s *System) nameFile(file string) []named {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.files[file]; ok {
		return have
	}
	dirs := []string{"/etc/iproute2", "/usr/share/iproute2"}
	if file == "connlabel.conf" {
		dirs = []string{"/etc/xtables"}
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, filepath.Base(file))
		if _, err := os.Stat(filepath.Join(s.root, path)); err == nil {
			s.files[file] = s.readNamed(path, numberFirst)
			break
		}
	}
	return s.files[file]
}
