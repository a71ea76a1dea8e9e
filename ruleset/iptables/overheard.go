package iptables

import (
	"regexp"
	"strings"
	"sync"
)

var (
	// overLibrary is what libiptc finds wrong ("iptables: Text.").
	overLibrary = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)ip6?tables: (.*)\.$`) })
	overKernel  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`RULE_[A-Z]* failed \(([^)]*)\)`) })
	// overUsage is what is wrong with arguments, up to the hint to --help.
	overUsage = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?s)ip6?tables[a-z0-9-]* v[0-9.]+ \([a-z_]+\): (.*?)\n(Error occurred|Try )`)
	})
)

// Overheard is what iptables says of a rule for a chain that netfilter's own tool, of either variant, has
// refused with a text; nil: nothing that is known.
func Overheard(text, chain string) *Said {
	if m := overKernel().FindStringSubmatch(text); m != nil {
		return saidNetfilter(m[1], chain)
	}
	if m := overUsage().FindStringSubmatch(text); m != nil {
		return saidUsage("%s", m[1])
	}
	if m := overLibrary().FindStringSubmatch(text); m != nil {
		reason, _, _ := strings.Cut(m[1], saidDmesg)
		if m[1] == saidNoName {
			reason = "No such file or directory"
		}
		return saidNetfilter(reason, chain)
	}
	return nil
}

// saidNetfilter is what is said of a rule that netfilter refuses for a reason of strerror(3).
func saidNetfilter(reason, chain string) *Said {
	text := reason
	switch reason {
	case "No such file or directory":
		text = saidNoName
	case "Invalid argument":
		text = saidInvalid
	}
	s := saidRules(text).onNFT(SaidByKernel, "RULE_APPEND failed (%s): rule in chain %s", reason, chain)
	s.Line = AtCommit
	return s
}
