package pred

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// ControlGroup asks whether the socket of the packet is in a control group of cgroup2, or in one below it
// (cgroup_mt_v2(), net/netfilter/xt_cgroup.c).
type ControlGroup struct {
	Path string
	Slot int
}

func (ControlGroup) isPred() {}

func (p ControlGroup) String() string { return fmt.Sprintf("in control group %q", p.Path) }

func (p ControlGroup) eval(f *packet.Facts) Answer {
	return Bool(f.Sock != nil && slices.Contains(ControlGroups(f.Sock.ControlGroup), joinedGroup(p.Path)))
}

// ControlGroups are the paths of a group and of those that it is in, from the root on.
func ControlGroups(path string) []string {
	out := []string{""}
	for _, name := range strings.FieldsFunc(path, isSlash) {
		out = append(out, out[len(out)-1]+"/"+name)
	}
	return out
}

// joinedGroup is a path as ControlGroups has it.
func joinedGroup(path string) string {
	all := ControlGroups(path)
	return all[len(all)-1]
}

func isSlash(r rune) bool { return r == '/' }
