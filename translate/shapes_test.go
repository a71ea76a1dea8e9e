package translate_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestShapes wants a chain of some length to be looked up if its rules are alike, and longer ones
// always.
func TestShapes(t *testing.T) {
	for _, c := range []struct {
		rules, shapes int
		classes       int
	}{
		{24, 1, 0}, {25, 1, 1}, {25, 7, 1}, {25, 8, 0}, {128, 8, 0}, {129, 8, 1},
	} {
		var b strings.Builder
		b.WriteString("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n")
		for i := range c.rules {
			fmt.Fprintf(&b, "-A INPUT -s %d.0.0.0/%d -p udp -m udp --dport %d -j DROP\n", i+1, 8+i%c.shapes, i+1)
		}
		b.WriteString("COMMIT\n")
		res := translateText(t, "rules.v4", []byte(b.String()))
		if n := len(res.Plan.Classes); n != c.classes {
			t.Errorf("%d rules of %d shapes: %d classes, want %d", c.rules, c.shapes, n, c.classes)
		}
	}
}
