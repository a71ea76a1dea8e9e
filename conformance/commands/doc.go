// Package commands tests that single rules and batches, one after the other, leave what
// iptables leaves: the same text, the same counters, the same exit codes, the same
// verdicts in between.
//
// In: a seed and a number of commands (flags -seed, -commands, -long), the program. Out:
// nothing but failures. Two hosts are alike but for the firewall: iptables-legacy in one,
// bpftables in the other. Both get the same random commands (package gen has the rules) and the
// same packets. Most of the commands are changes in place; those that need a new
// generation come in between, and a resident server and processes without it take turns.
package commands
