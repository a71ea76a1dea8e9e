package conformance

import (
	"flag"
	"sort"
	"testing"

	"github.com/bpftables/bpftables/ruleset/match/rows"
)

// Every is a flag of both tests of rows.
var Every = flag.Int("every", 1, "of the rows of matches, judge each Nth")

// leastConfirmed is how many packets of all rows netfilter must have confirmed. A lab that no
// longer brings packets to their chains would otherwise be found to agree with everything.
const leastConfirmed = 1600

// TestRows: netfilter is the fifth judge of the rows of the match tests. A rule
// must be refused or printed as its row says, and every packet that can be sent for
// real gets the answer of its row. What cannot be asked is counted, by reason.
func TestRows(t *testing.T) {
	needRoot(t)
	all, err := rows.Load(root + "/ruleset/match/testdata")
	if err != nil {
		t.Fatal(err)
	}
	var j RowJudge
	defer j.Close()
	confirmed, older, unsent := 0, 0, map[string]int{}
	for i, r := range all {
		if i%*Every != 0 {
			continue
		}
		judged, prints, refused, err := j.Judge(r)
		switch {
		case err != nil:
			t.Errorf("%s: %v", r.Name(), err)
			continue
		case refused != nil:
			if r.Refused == "" {
				t.Errorf("%s: netfilter refuses %q: %v", r.Name(), r.Rule, refused)
			}
			continue
		case r.Refused != "":
			t.Errorf("%s: netfilter accepts %q, refused by its row: %s", r.Name(), r.Rule, r.Refused)
			continue
		case prints != r.Prints:
			t.Errorf("%s: netfilter prints %q, its row %q", r.Name(), prints, r.Prints)
		}
		for _, g := range judged {
			switch {
			case g.Unsent != "":
				unsent[g.Unsent]++
			case g.Agrees():
				confirmed++
			case g.Older():
				older++
			default:
				t.Errorf("%s: %q: %s: netfilter says %s (counted: %t), its row %s", g.Packet.Pos, r.Rule, g.Packet.Text, g.Got, g.Count, g.Packet.Want)
			}
		}
	}
	least := leastConfirmed
	if *Every > 1 {
		least = leastConfirmed / *Every * 4 / 5 // rows have more or fewer packets
	}
	if confirmed < least {
		t.Errorf("netfilter has confirmed %d packets, want at least %d", confirmed, least)
	}
	total := 0
	var reasons []string
	for why, n := range unsent {
		total += n
		reasons = append(reasons, why)
	}
	sort.Slice(reasons, func(i, k int) bool { return unsent[reasons[i]] > unsent[reasons[k]] })
	t.Logf("%d rows; %d packets confirmed by netfilter, %d answered as by older kernels, %d not confirmable:", len(all), confirmed, older, total)
	for _, why := range reasons {
		t.Logf("%4d %s", unsent[why], why)
	}
}
