package match

import "github.com/bpftables/bpftables/ruleset"

// icmp6Kind is -m icmp6.
var icmp6Kind = &ruleset.MatchKind{
	Name:     "icmp6",
	Aliases:  []string{"icmpv6", "ipv6-icmp"},
	Protos:   []uint8{protoICMPv6},
	Families: ruleset.OnlyIPv6,
	Doc:      "type and code of ICMPv6; needs -p icmpv6",
	Options: []ruleset.Option{
		{Name: "icmpv6-type", NArgs: 1, Negate: true, Help: "a name such as echo-request, or type[/code[:code]]"},
	},
	New: func() ruleset.MatchBuilder {
		return &icmp{word: "icmp6", option: "icmpv6-type", title: "ICMPv6", proto: protoICMPv6, names: icmp6Names}
	},
}

var icmp6Names = []icmpName{
	{"destination-unreachable", 1, 0, 255}, {"no-route", 1, 0, 0}, {"communication-prohibited", 1, 1, 1},
	{"beyond-scope", 1, 2, 2}, {"address-unreachable", 1, 3, 3}, {"port-unreachable", 1, 4, 4},
	{"failed-policy", 1, 5, 5}, {"reject-route", 1, 6, 6},
	{"packet-too-big", 2, 0, 255},
	{"time-exceeded", 3, 0, 255}, {"ttl-exceeded", 3, 0, 255},
	{"ttl-zero-during-transit", 3, 0, 0}, {"ttl-zero-during-reassembly", 3, 1, 1},
	{"parameter-problem", 4, 0, 255}, {"bad-header", 4, 0, 0}, {"unknown-header-type", 4, 1, 1}, {"unknown-option", 4, 2, 2},
	{"echo-request", 128, 0, 255}, {"ping", 128, 0, 255}, {"echo-reply", 129, 0, 255}, {"pong", 129, 0, 255},
	{"router-solicitation", 133, 0, 255}, {"router-advertisement", 134, 0, 255},
	{"neighbour-solicitation", 135, 0, 255}, {"neighbor-solicitation", 135, 0, 255},
	{"neighbour-advertisement", 136, 0, 255}, {"neighbor-advertisement", 136, 0, 255},
	{"redirect", 137, 0, 255},
}
