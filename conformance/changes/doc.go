// Package changes tests that changes of rules are atomic: while one rule, or many in one
// batch, are inserted, deleted and replaced under traffic, no packet gets a verdict that
// neither the ruleset before nor the one after the change gives.
//
// In: the number of changes and a seed (flags -changes, -seed), the program. Out: nothing
// but failures. A sender feeds packets of some flows without pause (package flood). Rulesets are
// random, but every one of them accepts the same flows and drops the others;
// single edits inside a batch may well do something else. Behind the filter, nftables
// counts what comes through: all packets of the one kind must, none of the other.
// Packets are counted one by one, so that a single wrong verdict among millions is found.
// Commands use a "bpftables serve" that listens at BPFTABLES_SERVE, if there is one.
//
// The long form, 100,000 changes in all, as each family has a small and a large ruleset:
//
//	go test ./conformance/changes -changes 25000 -timeout 6h
package changes
