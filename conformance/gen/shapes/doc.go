// Package shapes makes rulesets of any size whose shape is known, and packets that
// their rules match.
//
// In: a kind, a family, a number of rules, a seed. Out: rules as values, their text
// as iptables-save prints it, the first rule that matches a packet (the linear
// reference), and headers drawn from the rules. The same seed gives the same rules.
// Nothing is refused but an unknown kind.
//
// Same and Sources are the simple shapes: rules that differ in values alone. ACL, FW and IPC are
// mixed: prefix lengths, nesting, classes of port ranges (any, low, high, a range, one)
// and protocols are distributed as in the three families of ClassBench (D. Taylor,
// J. Turner, INFOCOM 2005), roughly. Roughen adds what those do not have: negation,
// interfaces, TCP flags, ICMP types, lists of ports.
//
// All addresses are of 198.18.0.0/15 and 2001:db8::/32.
//
//	set, err := shapes.New(shapes.Options{Kind: shapes.ACL, Family: packet.IPv4, Rules: 1000, Seed: 1})
//	text := set.Text(shapes.Frame{Policy: "ACCEPT"})
//	h := set.Draw(rand.New(rand.NewPCG(1, 1)))
//	i := set.First(&h)
package shapes
