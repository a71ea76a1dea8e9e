package rows

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Resolver knows the few names that rows use, the same on every host.
type Resolver struct{}

var services = map[string]uint16{
	"ssh/tcp": 22, "smtp/tcp": 25, "domain/tcp": 53, "domain/udp": 53, "http/tcp": 80, "ntp/udp": 123, "https/tcp": 443, "https/udp": 443,
}

var protocols = map[uint8]string{
	2: "igmp", 4: "ipencap", 33: "dccp", 41: "ipv6", 43: "ipv6-route", 44: "ipv6-frag", 47: "gre", 50: "esp", 51: "ah",
	59: "ipv6-nonxt", 60: "ipv6-opts", 89: "ospf", 103: "pim", 108: "ipcomp", 112: "vrrp", 115: "l2tp",
	0: "ip", 1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp", 135: "mobility-header", 136: "udplite",
}

// Port finds a service.
func (Resolver) Port(service, proto string) (uint16, bool) {
	p, ok := services[service+"/"+proto]
	return p, ok
}

// Protocol finds a protocol by name.
func (Resolver) Protocol(name string) (uint8, bool) {
	for n, have := range protocols {
		if have == name {
			return n, true
		}
	}
	return 0, false
}

// ProtocolName finds the name of a protocol.
func (Resolver) ProtocolName(number uint8) (string, bool) {
	name, ok := protocols[number]
	return name, ok
}

// User knows root.
func (Resolver) User(name string) (uint32, bool) { return 0, name == "root" }

// Group knows root.
func (Resolver) Group(name string) (uint32, bool) { return 0, name == "root" }

// Host knows no names.
func (Resolver) Host(name string, _ packet.Family) ([]string, error) {
	return nil, fmt.Errorf("%s: no such host", name)
}

// Named knows no names.
func (Resolver) Named(file, name string) (uint32, bool) { return 0, false }
