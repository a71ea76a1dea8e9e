package testrun

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/owners/fence"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// blocked are fence's rules with a set of ports of both families that are dropped, and one
// that gets the ports of all packets.
func blocked(elements string, more ...string) string {
	var out strings.Builder
	for _, f := range families {
		fmt.Fprintf(&out, "%s set port-bad port 5 %s\n%s set port-seen port 50 -\n", f, elements, f)
		fmt.Fprintf(&out, "%s guard early input -7 accept\n", f)
		out.WriteString(seen(f))
		fmt.Fprintf(&out, "%s guard early in port-bad drop\n", f)
		for _, m := range more {
			fmt.Fprintf(&out, "%s %s\n", f, m)
		}
	}
	return out.String()
}

// seen are rules that put the ports of the first datagrams into a set.
func seen(f packet.Family) (out string) {
	for port := 1001; port <= 1005; port++ {
		out += fmt.Sprintf("%s guard early udp %d add:port-seen\n", f, port)
	}
	return out
}

// ports are the elements of a set of fence's, less 1000.
func (b *box) ports(f packet.Family, set string) string {
	b.Helper()
	all, err := b.engines[f].Sets(fence.Owner)
	b.must(err)
	for _, s := range all {
		if s.Name != fence.Owner+"/"+set {
			continue
		}
		var out []string
		for _, e := range s.Elements {
			out = append(out, fmt.Sprint(int(binary.BigEndian.Uint16(e.Key))-1000))
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	return "no set"
}

// accepted are the ports up to five of packets into the host that are accepted.
func (b *box) accepted(f packet.Family) string {
	b.Helper()
	var out []string
	for port := 1; port <= 5; port++ {
		ok, err := b.kernel.Accepts(b.packet(f, packet.Input, 1000+port))
		b.must(err)
		if ok {
			out = append(out, fmt.Sprint(port))
		}
	}
	return strings.Join(out, " ")
}

func (b *box) wantAccepted(when, want string) {
	b.Helper()
	for _, f := range families {
		if got := b.accepted(f); got != want {
			b.Errorf("%s: %s accepts %s, not %s", when, f, got, want)
		}
	}
}

func element(port int) ruleset.Element {
	return ruleset.Element{Key: pred.AppendKey(nil, binary.BigEndian.AppendUint16(nil, uint16(1000+port)))}
}

// TestSets: sets are their owner's, one for both families, and outlive what other owners do.
func TestSets(t *testing.T) {
	b := newBox(t)
	b.must(b.fence(blocked("1001,1002")))
	b.wantAccepted("at first", "3 4 5")
	if got := b.ports(packet.IPv6, "port-seen"); got != "1 2 3 4 5" {
		t.Errorf("packets have put %s into the set", got)
	}
	e := b.engines[packet.IPv4]
	st, err := e.Status()
	b.must(err)
	if len(st.Sets) != 2 || st.Sets[0].Owner != fence.Owner || *st.Sets[0].Elements != 2 || *st.Sets[1].Elements != 5 {
		t.Errorf("sets %+v", st.Sets)
	}
	b.must(e.ChangeSet(fence.Owner, apply.SetEdit{Name: "fence/port-bad", Add: []ruleset.Element{element(4)}, Delete: [][]byte{element(1).Key}}))
	b.wantAccepted("changed in place", "1 3 5")
	b.iptables(allow(1, 3))
	b.wantAccepted("iptables has rules", "1 3")
	b.close()
	b.open()
	if got := b.ports(packet.IPv6, "port-bad"); got != "2 4" {
		t.Errorf("a process later, the set has %s", got)
	}
	for _, f := range families {
		b.must(b.engines[f].Flush("filter"))
		b.must(b.engines[f].Restore(&apply.Request{Text: strings.NewReader("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"), File: "test"}))
	}
	b.wantAccepted("iptables has none", "1 3 5")
	b.must(b.fence(blocked("1003,1004")))
	if got := b.ports(packet.IPv4, "port-seen"); got != "" {
		t.Errorf("declared empty, the set has %s", got)
	}
	b.wantAccepted("declared with other elements", "1 2 5")
	b.must(b.fence(""))
	b.wantAccepted("removed", "1 2 3 4 5")
	if got := b.ports(packet.IPv4, "port-bad"); got != "no set" {
		t.Errorf("removed, the set has %s", got)
	}
}

// TestSetsKept: a change of rules that gives a set as it is leaves what packets do to it.
func TestSetsKept(t *testing.T) {
	b := newBox(t)
	b.must(b.fence(blocked("1001")))
	b.wantAccepted("at first", "2 3 4 5")
	var changes []apply.Change
	for _, f := range families {
		changes = append(changes, apply.Change{
			Engine: b.engines[f], Owner: fence.Owner,
			Sets: func(before []*ruleset.Set) ([]*ruleset.Set, error) { return before, nil },
		})
	}
	b.must(apply.Apply(changes...))
	if got := b.ports(packet.IPv4, "port-seen"); got != "1 2 3 4 5" {
		t.Errorf("the set has %s", got)
	}
	b.wantAccepted("then", "2 3 4 5")
}

// TestSetsRefused: what would open or change sets of others is refused, and nothing changes.
func TestSetsRefused(t *testing.T) {
	b := newBox(t)
	b.must(b.fence(blocked("1001,1002")))
	for want, text := range map[string]string{
		"another type, size or kind":   strings.ReplaceAll(blocked("1003"), "port 5 ", "port 6 "),
		"7 elements are given":         blocked("1,2,3,4,5,6,7"),
		`there is no set "fence/gone"`: blocked("1003", "guard early in gone drop"),
	} {
		if err := b.fence(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("wants %q: %v", want, err)
		}
		b.wantAccepted(want, "3 4 5")
	}
	err := apply.Apply(apply.Change{Engine: b.engines[packet.IPv4], Owner: "other", Sets: func([]*ruleset.Set) ([]*ruleset.Set, error) {
		return []*ruleset.Set{{Name: "fence/port-bad", Owner: "other", Type: []ruleset.KeyType{ruleset.KeyPort}}}, nil
	}})
	if err == nil || !strings.Contains(err.Error(), "of fence") {
		t.Errorf("a set of another owner: %v", err)
	}
	if err := b.engines[packet.IPv4].ChangeSet("other", apply.SetEdit{Name: "fence/port-bad"}); err == nil {
		t.Error("another owner has changed the set")
	}
	b.wantAccepted("refused", "3 4 5")
}

// TestSetsAfterFailure: elements are changed with the rules, or not at all.
func TestSetsAfterFailure(t *testing.T) {
	b := newBox(t)
	b.must(b.fence(blocked("1001")))
	for _, step := range []string{"ipv4 load", "ipv6 load", "ipv4 install", "ipv6 installed"} {
		b.kernel.Fail = step
		if err := b.fence(blocked("1002")); err == nil {
			t.Errorf("%s: no error", step)
		}
		b.kernel.Fail = ""
		b.wantAccepted(step, "2 3 4 5")
	}
	b.kernel.Fail = "ipv6 activate"
	if err := b.fence(blocked("1003")); err == nil {
		t.Error("ipv6 activate: no error")
	}
	b.kernel.Fail = ""
	b.iptables(allow(1, 2, 3, 4, 5))
	b.wantAccepted("the next command has completed the change", "1 2 4 5")
}
