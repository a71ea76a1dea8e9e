package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var masqueradeKind = &ruleset.TargetKind{
	Name:     "MASQUERADE",
	Families: ruleset.Both,
	Doc:      "give the connection the address of the outgoing interface as source",
	Options: []ruleset.Option{
		{Name: "to-ports", NArgs: 1, Help: "PORT[-PORT]: source ports to use"},
		{Name: "random", Help: "take a port by a secret hash"},
		{Name: "random-fully", Help: "take a random port"},
	},
	New: func() ruleset.TargetBuilder { return &NAT{form: masqueradeForm} },
}

var masqueradeForm = &natForm{
	word: "MASQUERADE", kind: pred.NATMasquerade, to: "to-ports", list: "masq ports: ", portOnly: true,
	hooks: []packet.Hook{packet.Postrouting},
}
