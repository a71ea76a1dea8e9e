package match

import (
	"sort"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Kinds is every word after -m, sorted by name. Two kinds may share a name when
// they are for different families ("ah").
var Kinds = []*ruleset.MatchKind{
	addrtypeKind,
	ah6Kind,
	ahKind,
	commentKind,
	connmarkKind,
	conntrackKind,
	cpuKind,
	dccpKind,
	devgroupKind,
	dscpKind,
	dstKind,
	ecnKind,
	espKind,
	eui64Kind,
	fragKind,
	hbhKind,
	hlKind,
	icmpKind,
	icmp6Kind,
	ipcompKind,
	iprangeKind,
	ipv6headerKind,
	lengthKind,
	limitKind,
	macKind,
	markKind,
	mhKind,
	multiportKind,
	nfacctKind,
	ownerKind,
	physdevKind,
	pkttypeKind,
	realmKind,
	recentKind,
	rtKind,
	sctpKind,
	srhKind,
	stateKind,
	statisticKind,
	tcpKind,
	tcpmssKind,
	tosKind,
	ttlKind,
	u32Kind,
	udpKind,
}

// Find looks a word up by its name or an alias, for a family; nil when the
// family has no such word.
func Find(name string, family packet.Family) *ruleset.MatchKind {
	at := sort.Search(len(Kinds), func(i int) bool { return Kinds[i].Name >= name })
	for ; at < len(Kinds) && Kinds[at].Name == name; at++ {
		if Kinds[at].Families.Has(family) {
			return Kinds[at]
		}
	}
	for _, k := range Kinds {
		if !k.Families.Has(family) {
			continue
		}
		for _, alias := range k.Aliases {
			if alias == name {
				return k
			}
		}
	}
	return nil
}

// ForProtocol gives the word that -p with this protocol loads when one of its
// options is met without -m; nil when there is none.
func ForProtocol(proto uint8, family packet.Family) *ruleset.MatchKind {
	for _, k := range Kinds {
		if !k.Families.Has(family) {
			continue
		}
		for _, p := range k.Protos {
			if p == proto {
				return k
			}
		}
	}
	return nil
}
