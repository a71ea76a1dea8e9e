// Package target holds the words after -j, one file per word: its options, how it
// is read and printed, what netfilter's kernel side refuses (Check) and what it
// does, as an action of package pred (Lower). Names of user chains after -j or -g
// become a Jump.
//
// In: options, through ruleset.Builder, from the readers. Out: ruleset.Target
// values. What is refused: everything that iptables or the kernel refuses, with a
// sentence that says what would do. Example:
//
//	kind := target.Find("REJECT", packet.IPv4)
//	b := kind.New()
//	err := b.Set(env, "reject-with", false, []string{"tcp-rst"})
//	err = b.Done(env)
//	t := b.Target()
//	t.Args() // REJECT --reject-with tcp-reset
//
// Verdicts and jumps become plain actions, all else a typed effect (pred.Effect). Of
// gives the target for an effect, so that its words can be printed for netfilter's tools.
package target
