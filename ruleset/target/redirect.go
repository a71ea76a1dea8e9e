package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var redirectKind = &ruleset.TargetKind{
	Name:     "REDIRECT",
	Families: ruleset.Both,
	Doc:      "send the connection to this host",
	Options: []ruleset.Option{
		{Name: "to-ports", NArgs: 1, Help: "PORT[-PORT]: destination ports to use"},
		{Name: "random", Help: "take a random port of the range"},
	},
	New: func() ruleset.TargetBuilder { return &NAT{form: redirectForm} },
}

var redirectForm = &natForm{
	word: "REDIRECT", kind: pred.NATRedirect, to: "to-ports", list: "redir ports ", portOnly: true,
	hooks: []packet.Hook{packet.Prerouting, packet.Output},
}
