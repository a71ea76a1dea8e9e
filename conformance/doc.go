// Package conformance asks real netfilter whether a firewall judges as it does.
//
// In: a ruleset, and packets drawn from it or given. Out: every difference between
// two sides of the same lab, one per firewall: what the text of the rules became,
// where each packet went, what came back, the marks it had, the errors that local
// senders saw, the connections that were tracked, and the counters of every rule
// and policy. A ruleset that netfilter itself refuses is refused.
//
//	report, err := conformance.Verify(conformance.Options{
//		Family: packet.IPv4, Text: text, Packets: 200, Seed: 1,
//		Ours: lab.Command{Path: "/usr/sbin/bpftables"},
//	})
//	fmt.Println(report.Summary())
//
// A failing case is made smaller by Shrink and kept as a file in regress/.
package conformance
