// Package anchor keeps what netfilter does for us in a table of our own in nf_tables,
// one of each family: "table ip bpftables" and "table ip6 bpftables". Nobody else's
// iptables command reaches it, and iptables-save does not print it.
//
// In: chains of rules, made of the functions of this package. Out: one nf_tables
// transaction for each change, and what is there now. Refused: what the kernel refuses,
// with its reason; a kernel without nf_tables is ErrMissing.
//
// Netfilter links are the other half of what stands at a hook, see bpf/attach:
//
//	priority p-1   link    BPF decides, and leaves a note for targets of netfilter
//	priority p     chain   of this table: runs the noted targets
//	priority p+1   guard   drops a packet whose note is still open: the chain was taken away
package anchor
