package target

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// FuzzTarget reads words with any arguments: nothing panics, and what is printed
// reads back to the same text.
func FuzzTarget(f *testing.F) {
	for _, k := range Kinds {
		for _, r := range readRows(f, filepath.Join("testdata", k.Name+".txt")) {
			_, args, _ := strings.Cut(strings.Join(r.args, "\x00"), "-j\x00")
			f.Add(args, r.family == packet.IPv6)
		}
	}
	f.Fuzz(func(t *testing.T, line string, six bool) {
		env := &ruleset.Env{Family: packet.IPv4, Bases: tables.Bases("filter"), Proto: protoTCP}
		if six {
			env.Family = packet.IPv6
		}
		first, err := readTarget(env, strings.Split(line, "\x00"))
		if err != nil {
			return
		}
		in := &ruleset.Place{Family: env.Family, Bases: env.Bases, Rule: &ruleset.Rule{Target: first}}
		list(first, nil)
		if first.Check(in) == nil {
			comesBack(t, in, in.Action().Effect)
		}
	})
}
