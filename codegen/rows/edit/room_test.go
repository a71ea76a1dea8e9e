package edit_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/plan"
)

// TestRoom: lists that grow ask for a new generation before packets have to ask many rows
// one after the other, and what was reclaimed leaves room.
func TestRoom(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules int
		most  int
	}{{"a chain without tables", 1, 32}, {"a table without masks", 20, 66}} {
		t.Run(c.name, func(t *testing.T) {
			chains := built(t, c.rules)
			for range 500 {
				row, err := put(chains)
				if err != nil {
					t.Fatal(err)
				}
				batch := chains.Edit()
				batch.Delete(0, row)
				batch.Publish()
				chains.Reclaim()
			}
			n, err := 0, error(nil)
			for ; err == nil && n < 1000; n++ {
				_, err = put(chains)
			}
			if !errors.Is(err, edit.ErrNoRoom) || n < 20 || n > c.most {
				t.Errorf("%d rules: %v", n, err)
			}
		})
	}
}

// TestRoomOneByOne: firewalld makes hundreds of chains, each with a few rules, after the first. They fit in beside those of a
// small table.
func TestRoomOneByOne(t *testing.T) {
	chains, in := laidOut(t, "-A INPUT -s 192.0.2.1 -j ACCEPT\n")
	rs := read(t, "-A INPUT -p tcp -m multiport --dports 25,465 -m mark ! --mark 7 -j DROP\n")
	planned := in.Rule(rs.Table("filter").Chain("INPUT").Rules[0])
	for i := range 400 {
		batch := chains.Edit()
		chain, err := batch.NewChain(0)
		if err != nil {
			t.Fatalf("chain %d: %v", i, err)
		}
		if _, _, err := batch.Insert(chain, 0, planned.Rule); err != nil {
			t.Fatalf("rule of chain %d: %v", i, err)
		}
		batch.Publish()
	}
}

// TestSteady: rules that come and go, with programs, notes, lists of ports and policies,
// take no more room than the first ones.
func TestSteady(t *testing.T) {
	chains, in := laidOut(t, "-A INPUT -s 192.0.2.1 -j REJECT\n"+strings.Repeat("-A INPUT -p tcp -i eth0 -m mark --mark 1 -j DROP\n", 30))
	rs := read(t, "-A INPUT -i eth1 -p tcp -m multiport --dports 25,465,587 -m mark ! --mark 7 -j DROP\n"+
		"-A INPUT -s 192.0.2.9 -m length --length 7:99 -j REJECT\n")
	var planned []*plan.Rule
	for _, r := range rs.Table("filter").Chain("INPUT").Rules {
		p := in.Rule(r)
		if p == nil {
			t.Fatal(r)
		}
		planned = append(planned, p.Rule)
	}
	cycle := func() {
		batch := chains.Edit()
		var placed []uint32
		for _, p := range planned {
			row, _, err := batch.Insert(0, 0, p)
			if err != nil {
				t.Fatal(err)
			}
			placed = append(placed, row)
		}
		batch.Publish()
		batch = chains.Edit()
		for _, row := range placed {
			batch.Delete(0, row)
		}
		if err := batch.SetPolicy(0, true); err != nil {
			t.Fatal(err)
		}
		batch.Publish()
		chains.Reclaim()
	}
	for range 5 {
		cycle()
	}
	before := chains.Taken()
	for range 1000 {
		cycle()
	}
	if after := chains.Taken(); after != before {
		t.Errorf("words, rows and counters taken: %v, after many changes %v", before, after)
	}
}

// built lays out a chain of some rules.
func built(t *testing.T, rules int) *edit.Chains {
	text := ""
	for i := range rules {
		text += fmt.Sprintf("-A INPUT -s 192.0.2.%d -p udp -m udp --dport 5 -j DROP\n", i)
	}
	chains, _ := laidOut(t, text)
	return chains
}

func read(t *testing.T, text string) *ruleset.Ruleset {
	rs, _, err := iptables.Read(strings.NewReader("*filter\n"+text+"COMMIT\n"), iptables.Options{Family: packet.IPv4, Resolver: iptables.NewResolver()})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// laidOut lays out INPUT, and tells what it offers to rules to come.
func laidOut(t *testing.T, text string) (*edit.Chains, *translate.InPlace) {
	p := translate.Translate(read(t, text), translate.Options{Classifier: translate.ClassifyTuples, Can: shim.Can}).Plan
	actions, err := plan.NewActionList(p.Tables[0].Actions)
	if err != nil {
		t.Fatal(err)
	}
	in := &translate.InPlace{Family: packet.IPv4, Bases: tables.Bases("filter"), Actions: actions, Can: shim.Can}
	for _, class := range p.Classes {
		class.Forced = false
	}
	image, err := rows.Build(p, 0, rows.Drawn())
	if err != nil {
		t.Fatal(err)
	}
	image.SetLimits(p.Counters, 10000, ^uint32(0))
	// The room that the maps have.
	image.Rows = append(image.Rows, make([]uint32, int(image.RowsWords)-len(image.Rows))...)
	image.Index = append(image.Index, make([]uint32, int(image.IndexWords)-len(image.Index))...)
	return &edit.Chains{Memory: &image.Memory}, in
}

// put puts a rule that fixes nothing in front of the first chain.
func put(chains *edit.Chains) (row uint32, err error) {
	batch := chains.Edit()
	row, _, err = batch.Insert(0, 0, &plan.Rule{
		Conds:  []pred.Pred{pred.Not{P: pred.Addr{Of: pred.AddrSrc, Value: [16]byte{192, 0, 2, 7}, Mask: [16]byte{255, 255, 255, 255}}}},
		Action: pred.Action{Op: pred.Drop},
	})
	if err != nil {
		batch.Abort()
		return 0, err
	}
	batch.Publish()
	return row, nil
}
