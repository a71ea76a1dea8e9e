package layout

import (
	"math/rand/v2"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestValues: what is kept of keys is the keys, also when the first one with a name or a mark
// comes late.
func TestValues(t *testing.T) {
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		r := rand.New(rand.NewPCG(1, uint64(family)))
		v := NewValues(family, 10) // fewer than come
		var keys []Key
		for i := range 40 {
			var k Key
			for w := range map[packet.Family]int{packet.IPv4: 1, packet.IPv6: 4}[family] {
				k.Addresses[w] = r.Uint64()
			}
			k.Other[TransportWord] = r.Uint64()
			if i > 20 && i%3 == 0 {
				k.Other[namesWord], k.Other[marksWord] = r.Uint64(), r.Uint64()
			}
			if n := v.Add(&k); int(n) != i {
				t.Fatalf("value %d has number %d", i, n)
			}
			keys = append(keys, k)
		}
		for i := range keys {
			if got := v.Of(&Entry{Value: int32(i)}); got != keys[i] {
				t.Errorf("%v, value %d: %v, want %v", family, i, got, keys[i])
			}
		}
	}
}
