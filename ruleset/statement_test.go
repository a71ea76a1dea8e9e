package ruleset_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// words are statements as an iptables rule has them.
func words(t *testing.T, text string) (ruleset.Match, ruleset.Target) {
	t.Helper()
	rs, _, err := iptables.Read(strings.NewReader("*filter\n-A INPUT "+text+"\nCOMMIT\n"), iptables.Options{Family: packet.IPv4})
	if err != nil {
		t.Fatal(err)
	}
	r := rs.Tables[0].Chain("INPUT").Rules[0]
	return r.Matches[0], r.Target
}

// TestNewRule checks that statements keep their order, whatever it is.
func TestNewRule(t *testing.T) {
	limit, mark := words(t, "-m limit --limit 1/s -j MARK --set-mark 1")
	dev, accept := words(t, "-i eth0 -j ACCEPT")
	for _, c := range []struct {
		in    []ruleset.Statement
		parts int
	}{
		{[]ruleset.Statement{ruleset.Count{}, limit, mark, accept}, 3},
		{[]ruleset.Statement{dev, limit, accept}, 1},
		{[]ruleset.Statement{dev, mark, ruleset.Count{}, limit}, 3},
		{[]ruleset.Statement{mark, dev, ruleset.Count{}, accept}, 3},
		{nil, 1},
	} {
		r := ruleset.NewRule(ruleset.Pos{Line: 7}, c.in...)
		if got := r.Statements(); !slices.Equal(got, c.in) {
			t.Errorf("%v became %v", c.in, got)
		}
		parts := 0
		for part := range r.Parts() {
			if parts++; part.Pos.Line != 7 {
				t.Errorf("%v: a part is at %s", c.in, part.Pos)
			}
		}
		if parts != c.parts {
			t.Errorf("%v: %d parts, want %d", c.in, parts, c.parts)
		}
	}
}
