package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var snatKind = &ruleset.TargetKind{
	Name:     "SNAT",
	Families: ruleset.Both,
	Doc:      "give the connection another source",
	Options: []ruleset.Option{
		{Name: "to-source", NArgs: 1, Help: "ADDRESS[-ADDRESS][:PORT[-PORT]]; an IPv6 address with ports stands in []"},
		{Name: "random", Help: "take a port by a secret hash"},
		{Name: "random-fully", Help: "take a random port"},
		{Name: "persistent", Help: "give a client the same address for each connection"},
	},
	New: func() ruleset.TargetBuilder { return &NAT{form: snatForm} },
}

var snatForm = &natForm{
	word: "SNAT", kind: pred.NATSource, to: "to-source", list: "to:", required: true,
	hooks: []packet.Hook{packet.Postrouting, packet.Input},
}
