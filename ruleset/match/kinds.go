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
	ahKind,
	ah6Kind,
	bpfKind,
	cgroupKind,
	clusterKind,
	commentKind,
	connbytesKind,
	connlabelKind,
	connlimitKind,
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
	hashlimitKind,
	hbhKind,
	helperKind,
	hlKind,
	icmpKind,
	icmp6Kind,
	ipcompKind,
	iprangeKind,
	ipv6headerKind,
	ipvsKind,
	lengthKind,
	limitKind,
	macKind,
	markKind,
	mhKind,
	multiportKind,
	nfacctKind,
	osfKind,
	ownerKind,
	physdevKind,
	pkttypeKind,
	policyKind,
	quotaKind,
	rateestKind,
	realmKind,
	recentKind,
	rpfilterKind,
	rtKind,
	sctpKind,
	setKind,
	socketKind,
	srhKind,
	stateKind,
	statisticKind,
	stringKind,
	tcpKind,
	tcpmssKind,
	timeKind,
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
