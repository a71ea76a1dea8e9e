// Command bench measures what packets, restores and changes cost with bpftables, with
// iptables-legacy, with iptables-nft, with an nft set, with ipset and with no firewall.
//
// In: the bpftables program to measure, and which parts to measure: packets, mixed,
// accepted, forward, wire, ddos, loads, mixedloads, updates, growth, callers, connections, justchanged. Out: docs/benchmarks.json, which keeps the last run
// of each part; the page docs/benchmarks.md and its plots, made from that; and one line per
// target of the project that says whether it is met. What the program does not have
// is "not available" there. Refused: running without root, or without one of the tools.
//
// The program is measured by its command line alone. A packet's cost is the kernel's time per
// frame (package flood). All firewalls of a part are measured in one run, in turns, and
// the fastest time of each counts, so that what else the machine does falls on all alike.
// Only ratios carry over to other machines. Every ruleset is confirmed by its counters:
// all packets must have been counted, and with up to 1,000 rules each by the rule that
// a linear reference names.
//
// Examples:
//
//	bench -bpftables bin/bpftables -docs docs
//	bench packets updates
package main
