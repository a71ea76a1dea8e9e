package match_test

import (
	"sort"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/match"
	"github.com/bpftables/bpftables/ruleset/match/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
)

func TestKinds(t *testing.T) {
	if !sort.SliceIsSorted(match.Kinds, func(i, j int) bool { return match.Kinds[i].Name < match.Kinds[j].Name }) {
		t.Error("Kinds is not sorted by name")
	}
	for _, k := range match.Kinds {
		if k.Doc == "" || k.New == nil || k.Families == 0 {
			t.Errorf("%s: Doc, New and Families must be set", k.Name)
			continue
		}
		seen := map[string]bool{}
		for _, o := range k.Options {
			if seen[o.Name] || o.Help == "" {
				t.Errorf("%s: --%s is there twice or has no help", k.Name, o.Name)
			}
			seen[o.Name] = true
		}
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			if found := match.Find(k.Name, family); k.Families.Has(family) && found != k {
				t.Errorf("%s: Find gives %v for %s", k.Name, found, family)
			}
		}
		if w := k.New().Match().Word(); w != k.Name {
			t.Errorf("%s: the match says that it is %s", k.Name, w)
		}
	}
}

// TestFamilies: words of one family are not found in the other.
func TestFamilies(t *testing.T) {
	for word, has := range map[string]ruleset.Families{
		"ah": ruleset.Both, "icmp": ruleset.OnlyIPv4, "ttl": ruleset.OnlyIPv4, "icmp6": ruleset.OnlyIPv6, "icmpv6": ruleset.OnlyIPv6,
		"ipv6-icmp": ruleset.OnlyIPv6, "hl": ruleset.OnlyIPv6, "frag": ruleset.OnlyIPv6, "udplite": 0, "mobility-header": 0,
	} {
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			if got := match.Find(word, family) != nil; got != has.Has(family) {
				t.Errorf("%s %s: found %t", family, word, got)
			}
		}
	}
}

// TestImplicit: what -p loads without -m goes by the name that was given.
func TestImplicit(t *testing.T) {
	for text, want := range map[string]string{
		"tcp": "tcp", "TCP": "tcp", "6": "tcp", "0x11": "udp", "icmpv6": "icmp6", "58": "icmp6", "mh": "mh", "135": "",
		"mobility-header": "", "33": "dccp", "108": "ipcomp", "200": "", "nosuch": "", "esp": "esp", "51": "ah",
	} {
		got := ""
		if k := match.ForProtocolText(text, packet.IPv6, rows.Resolver{}); k != nil {
			got = k.Name
		}
		if got != want {
			t.Errorf("-p %s loads %q, want %q", text, got, want)
		}
	}
}

// TestEveryWordHasRows: a word has a file in testdata with at least 8 rules and
// packets.
func TestEveryWordHasRows(t *testing.T) {
	all, err := rows.Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, r := range all {
		count[r.Word] += 1 + len(r.Packets)
	}
	for _, k := range match.Kinds {
		if count[k.Name] < 8 {
			t.Errorf("testdata/%s.txt has %d rules and packets, at least 8 wanted", k.Name, count[k.Name])
		}
	}
}

// TestParseAddresses: hosts come from the resolver, one rule for each address.
func TestParseAddresses(t *testing.T) {
	for _, c := range []struct {
		family     packet.Family
		text, want string
	}{
		{packet.IPv4, "192.0.2.1,any/0, 198.51.100.7/24", "192.0.2.1/255.255.255.255 0.0.0.0/0.0.0.0 198.51.100.0/255.255.255.0"},
		{packet.IPv4, "two.example/31", "192.0.2.8/255.255.255.254 192.0.2.8/255.255.255.254"},
		{packet.IPv4, "192.0.2.1,", "error"},
		{packet.IPv4, "none.example", "error"},
		{packet.IPv4, "192.0.2.1/33", "error"},
		{packet.IPv6, "2001:db8::1/64,::1", "2001:db8::/ffff:ffff:ffff:ffff:: ::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{packet.IPv6, "192.0.2.1", "error"},
	} {
		got := "error"
		if list, err := match.ParseAddresses(c.family, c.text, hosts{}); err == nil {
			var s []string
			for _, a := range list {
				s = append(s, a.Addr.String()+"/"+a.Mask.String())
			}
			got = strings.Join(s, " ")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}

// hosts knows one name with two addresses.
type hosts struct{ rows.Resolver }

func (hosts) Host(name string, family packet.Family) ([]string, error) {
	if name == "two.example" && family == packet.IPv4 {
		return []string{"192.0.2.8", "192.0.2.9"}, nil
	}
	return nil, nil
}
