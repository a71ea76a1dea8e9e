package target

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

const (
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
	protoDCCP = 33
	protoSCTP = 132
)

// onlyHooks refuses a rule that can be reached from another hook
// (xt_check_target(), net/netfilter/x_tables.c).
func onlyHooks(in *ruleset.Place, allowed ...packet.Hook) error {
	var names []string
	for h := packet.Prerouting; h <= packet.Postrouting; h++ {
		if in.At(h) {
			names = append(names, h.String())
		}
	}
	reached := strings.Join(names, ", ")
	mask := uint8(0)
	names = nil
	for _, h := range allowed {
		mask |= 1 << h
		names = append(names, h.String())
	}
	if in.Hooks&^mask == 0 {
		return nil
	}
	return fmt.Errorf("used from %s, but only usable from %s; move the rule, or the jump that leads to it",
		reached, strings.Join(names, ", "))
}

// onlyProto refuses a rule whose -p is not one of the protocols.
func onlyProto(in *ruleset.Place, what string, protos ...uint8) error {
	proto, negate, named := in.Proto()
	var names []string
	for _, p := range protos {
		if named && !negate && proto == p {
			return nil
		}
		names = append(names, "-p "+map[uint8]string{protoTCP: "tcp", protoUDP: "udp"}[p])
	}
	return fmt.Errorf("%s only works with %s; add it to the rule", what, strings.Join(names, " or "))
}
