// Package gen draws packets and rulesets for the lab.
//
// In: the text that iptables-save prints of a ruleset, and a seed. Out: packets
// that its rules care about: their own addresses, ports, protocols, interfaces and
// states, values at the boundaries and one beyond them, with the connections that
// must exist before; and among them packets of other kinds: fragments, options,
// extension headers, cut and malformed ones. Ruleset makes random rulesets. The
// same seed gives the same packets. Nothing is refused: an option that is not
// known here is left to chance.
//
//	d := gen.New(packet.IPv4, saved, []string{"eth0", "eth1"}, seed)
//	for range 100 { packets = append(packets, d.Draw()...) }
//	routes := d.Routes()
package gen
