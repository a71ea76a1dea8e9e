// Package match holds the words after -m and the base options -s -d -i -o -p -f,
// one file per word: its options, how it is read and printed, what netfilter's
// kernel side refuses (Check) and answers (Eval), and the same meaning in
// predicates (Lower).
//
// In: options, through ruleset.Builder, from the readers. Out: ruleset.Match
// values. What is refused: everything that iptables or the kernel refuses, with
// a sentence that says what would do. Example:
//
//	kind := match.Find("multiport", packet.IPv4)
//	b := kind.New()
//	err := b.Set(env, "dports", false, []string{"22,80:90"})
//	err = b.Done(env)
//	m := b.Match()
//	m.Args() // -m multiport --dports 22,80:90
package match
