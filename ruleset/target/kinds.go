package target

import (
	"sort"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Kinds is every word after -j, sorted by name.
var Kinds = []*ruleset.TargetKind{
	acceptKind,
	auditKind,
	checksumKind,
	classifyKind,
	clusteripKind,
	connmarkKind,
	connsecmarkKind,
	ctKind,
	dnatKind,
	dnptKind,
	dropKind,
	dscpKind,
	ecnKind,
	hlKind,
	hmarkKind,
	idletimerKind,
	ledKind,
	logKind,
	markKind,
	masqueradeKind,
	netmapKind,
	nflogKind,
	nfqueueKind,
	notrackKind,
	queueKind,
	rateestKind,
	redirectKind,
	rejectKind,
	returnKind,
	secmarkKind,
	setKind,
	snatKind,
	snptKind,
	synproxyKind,
	tcpmssKind,
	tcpoptstripKind,
	teeKind,
	tosKind,
	tproxyKind,
	traceKind,
	ttlKind,
	ulogKind,
}

// Find looks a word up for a family; nil when the family has no such word.
func Find(name string, family packet.Family) *ruleset.TargetKind {
	at := sort.Search(len(Kinds), func(i int) bool { return Kinds[i].Name >= name })
	if at == len(Kinds) || Kinds[at].Name != name || !Kinds[at].Families.Has(family) {
		return nil
	}
	return Kinds[at]
}
