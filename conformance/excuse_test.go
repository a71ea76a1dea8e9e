package conformance

import "testing"

// TestExcuse takes for chance only what the reference does not do twice at the same place, and
// only as long as it is little.
func TestExcuse(t *testing.T) {
	same := Difference{Kind: "packet", Where: "udp", Index: 3}
	later := Difference{Kind: "packet", Where: "udp", Index: 50}
	conn := func(port string) Difference {
		line := "ipv4 2 udp 17 src=1.0.0.1 dst=1.0.0.2 sport=" + port + " dport=7 [UNREPLIED] src=1.0.0.2 dst=1.0.0.1 sport=7 dport=" + port
		return compareConnections([]string{line}, nil)[0]
	}
	r := &Report{Packets: 10, Differences: []Difference{same, later, conn("1000"), conn("1001")}}
	r.excuse([]Difference{same, conn("1001")})
	if len(r.ByChance) != 2 || len(r.Differences) != 2 || r.Differences[0] != later || r.Differences[1] != conn("1000") {
		t.Errorf("left %v, by chance %v", r.Differences, r.ByChance)
	}
	drawn := same
	drawn.Reference, drawn.Ours = "udp 1.0.0.1:2000 > 1.0.0.3:8080 ttl 63", "udp 1.0.0.1:1000 > 1.0.0.3:8080 ttl 63"
	r = &Report{Packets: 10, Differences: []Difference{drawn, conn("1000"), conn("8080")}}
	r.excuse([]Difference{drawn})
	if len(r.Differences) != 1 || r.Differences[0] != conn("8080") {
		t.Errorf("left %v: a connection to a port that was drawn is chance, to others not", r.Differences)
	}
	r = &Report{Packets: 10}
	for i := range 10 {
		r.Differences = append(r.Differences, Difference{Kind: "packet", Where: "udp", Index: i})
	}
	r.excuse(r.Differences)
	if !r.Chance || !r.Failed() {
		t.Error("every packet differs by chance, and that is believed")
	}
}
