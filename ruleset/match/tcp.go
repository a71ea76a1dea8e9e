package match

import "github.com/bpftables/bpftables/ruleset"

// tcpKind is -m tcp.
var tcpKind = &ruleset.MatchKind{Name: "tcp", Protos: []uint8{6}, Families: ruleset.Both}
