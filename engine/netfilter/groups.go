package netfilter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/bpf/cgroup"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
)

// groups refuses rules that name control groups which are not there, as cgroup_mt_check_v2() does
// (net/netfilter/xt_cgroup.c), whether packets meet them or not. Rules that were there before do not hinder
// a change, whatever became of their groups.
func (b *build) groups() error {
	var errs []error
	rs := b.Result.Plain()
	for i, t := range rs.Tables {
		if !b.Result.Plan.Tables[i].InBPF {
			continue
		}
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				if r.Pos.File != state.File {
					errs = append(errs, missingGroup(r, c.Name))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// missingGroup is the error of a rule that names a control group which is not there.
func missingGroup(r *ruleset.Rule, chain string) error {
	for _, m := range r.Matches {
		path, is := ruleset.ControlGroupOf(m)
		if !is {
			continue
		}
		if _, err := cgroup.ID(path); err != nil {
			out := &ruleset.Error{
				Pos: r.Pos, Thing: strings.Join(m.Args(), " "),
				What: fmt.Sprintf("the kernel does not have what it names: %v", err), Fix: "make the group first",
			}
			if said := iptables.Overheard("iptables: Invalid argument.", chain); said != nil {
				out.Cause = said
			}
			return out
		}
	}
	return nil
}
