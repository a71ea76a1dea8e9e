// Package interp runs rules on a packet: the reference semantics, in plain Go, of
// ipt_do_table() and ip6t_do_table() (net/ipv4/netfilter/ip_tables.c,
// net/ipv6/netfilter/ip6_tables.c).
//
// In: a table and the facts of a packet. Out: the verdict, the counters, the marks
// that the packet leaves with, and on demand every step of the way. Matches are
// asked by their Eval or by the predicates they lower to; both must agree, and
// tests compare them. Nothing is refused: a target whose effect is not known here
// is passed over, and the result says so.
//
//	m := interp.New(family, table, interp.ByLower)
//	r := m.Run(facts)
//	fmt.Println(r.Verdict, r.Decider)
//
// Walk runs all the tables that a packet meets at its hook, in their order.
package interp
