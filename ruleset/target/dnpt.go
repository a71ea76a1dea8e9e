package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

var dnptKind = &ruleset.TargetKind{
	Name:     "DNPT",
	Families: ruleset.OnlyIPv6,
	Doc:      "translate the prefix of the destination address without state (RFC 6296)",
	Options:  nptOptions,
	New: func() ruleset.TargetBuilder {
		return &NPT{word: "DNPT", hooks: []packet.Hook{packet.Prerouting, packet.Output}}
	},
}
