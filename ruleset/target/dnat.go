package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var dnatKind = &ruleset.TargetKind{
	Name:     "DNAT",
	Families: ruleset.Both,
	Doc:      "send the connection to another destination",
	Options: []ruleset.Option{
		{Name: "to-destination", NArgs: 1, Help: "ADDRESS[-ADDRESS][:PORT[-PORT[/BASE]]]; an IPv6 address with ports stands in []"},
		{Name: "random", Help: "take a random port of the range"},
		{Name: "persistent", Help: "give a client the same address for each connection"},
	},
	New: func() ruleset.TargetBuilder { return &NAT{form: dnatForm} },
}

var dnatForm = &natForm{
	word: "DNAT", kind: pred.NATDestination, to: "to-destination", list: "to:", required: true, base: true,
	hooks: []packet.Hook{packet.Prerouting, packet.Output},
}
