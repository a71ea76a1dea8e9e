package translate

import (
	"slices"

	"github.com/bpftables/bpftables/ruleset"
)

// Unmet says whether a rule of a chain that no packet meets can do without rows until packets do: the kernel takes it
// wherever it stands, and nothing begins with it but what netfilter holds.
func (p *InPlace) Unmet(r *ruleset.Rule) bool {
	if refuses(&ruleset.Place{Family: p.Family, Bases: p.Bases, Rule: r}) {
		return false
	}
	return !slices.ContainsFunc(r.Matches, func(m ruleset.Match) bool {
		_, group := ruleset.ControlGroupOf(m)
		list := ruleset.KeptSet(m)
		return group || list != nil && list.Flags&ruleset.SetStamps != 0 || ruleset.TrackingKept(m) != 0
	})
}
