package pred_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// TestHidden has effects hide from a condition, or an effect, behind them what they change, and nothing else.
func TestHidden(t *testing.T) {
	prefix := netip.MustParsePrefix("2001:db8::/64")
	effects := map[string]pred.Effect{
		"strip": pred.StripTCPOptions{}, "ece": pred.SetECN{SetECE: true}, "ect": pred.SetECN{SetIP: true},
		"hash": pred.NewMarker([]string{"HMARK"}), "opaque": pred.NewOpaque([]string{"X"}), "npt": pred.NPT{From: prefix, To: prefix},
		"map": pred.ChangeKernelSet{Map: pred.KernelSetKey{Set: "s"}, MapMark: true}, "map prio": pred.ChangeKernelSet{Map: pred.KernelSetKey{Set: "s"}, MapPriority: true},
	}
	flags := func(mask uint32) pred.Pred {
		return pred.Masked(pred.Load{Base: pred.BaseL4, Off: 13, Width: 1}, mask, mask)
	}
	for name, c := range map[string]struct {
		asks pred.Pred
		by   string // the effects that hide it
	}{
		"mark":           {pred.Eq(pred.FieldMark, 1), "hash map"},
		"connmark":       {pred.Eq(pred.FieldCtMark, 1), ""},
		"option":         {pred.TCPOption{Kind: 2}, "strip"},
		"ECE":            {flags(0x40), "ece"},
		"SYN":            {flags(0x02), ""},
		"port":           {pred.Eq(pred.Load{Base: pred.BaseL4, Width: 2}, 80), ""},
		"source":         {pred.Addr{Of: pred.AddrSrc}, "npt"},
		"list":           {pred.Recent{List: "l"}, "npt"},
		"way back":       {pred.ReversePath{}, "npt"},
		"marked way":     {pred.ReversePath{ReversePath: packet.ReversePath{ByMark: true}}, "npt hash map"},
		"set of marks":   {pred.InSet{Key: pred.KeyOf(pred.FieldMark)}, "hash map"},
		"set of sources": {pred.InSet{Key: pred.KeyOf(pred.AddrSrc)}, "npt"},
		"bytes":          {pred.Search{Text: "a"}, "strip ece ect npt"},
	} {
		want := map[string]bool{}
		for e := range effects {
			want[e] = false
		}
		for _, e := range strings.Fields(c.by) {
			want[e] = true
		}
		for e, hides := range want {
			if got := pred.Hides(packet.IPv6, effects[e])&pred.AsksHidden(c.asks) != 0; got != hides {
				t.Errorf("%s hides %s: %t, want %t", e, name, got, hides)
			}
		}
	}
	keep := pred.SetMark{Dst: pred.FieldCtMark, Src: pred.FieldMark, And: ^uint32(0)}
	if pred.Hides(packet.IPv4, effects["hash"])&pred.NeedsHidden(keep) == 0 {
		t.Error("a mark that is not known can be kept for the connection")
	}
}
