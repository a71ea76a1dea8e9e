package target

import "github.com/bpftables/bpftables/ruleset"

var hlKind = &ruleset.TargetKind{
	Name:     "HL",
	Families: ruleset.OnlyIPv6,
	Doc:      "change the hop limit of the packet",
	Options:  hopOptions("hl"),
	New:      func() ruleset.TargetBuilder { return &HopLimit{word: "HL"} },
}
