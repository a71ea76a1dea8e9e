package shim

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/ruleset/target"
	"github.com/bpftables/bpftables/translate"
)

// told are the effects that netfilter runs when it is told to; false: never.
var told = map[pred.Effect]bool{
	pred.Audit{}: true, pred.BlinkLED{}: true, pred.ChangeKernelSet{Add: pred.KernelSetKey{Set: "a", Dirs: "src"}}: true,
	pred.ChangeKernelSet{Map: pred.KernelSetKey{Set: "a", Dirs: "src"}}: true, pred.NewMarker([]string{"HMARK"}): true,
	pred.Dup{Gateway: netip.IPv6Unspecified()}: true, pred.FillChecksum{}: true, pred.IdleTimer{}: true, pred.Log{}: true,
	pred.NAT{}: true, pred.NAT{Kind: pred.NATDestination, Ports: true, Base: 1}: false, pred.NAT{Kind: pred.NATMasquerade, Ports: true}: true, pred.NFLog{}: true, pred.NoTrack{}: true, pred.NPT{}: true, pred.NewOpaque([]string{"X"}): false, pred.Queue{}: true,
	pred.RateEst{}: true, pred.Reject{Reset: true}: true, pred.RestoreSecMark{}: true, pred.SaveSecMark{}: true, pred.SecMark{}: true,
	pred.SetDSCP{}: true, pred.SetECN{SetIP: true, IP: 1}: true, pred.SetECN{SetECE: true}: true, pred.SetMark{Dst: pred.FieldMark, Src: pred.FieldMark}: true, pred.SetMSS{}: true,
	pred.SetPriority{}: true, pred.SetTOS{}: true, pred.SetTTL{}: true, pred.StripTCPOptions{}: true, pred.SynProxy{}: true,
	pred.TProxy{}: true, pred.Trace{}: true, pred.Track{}: true,
}

// TestCan fails when an effect is not decided about, or is to be told without words.
func TestCan(t *testing.T) {
	decided := map[reflect.Type]bool{}
	if how, _ := Can(pred.SetUpdate{}, 0); how != translate.Own {
		t.Error("the programs do not change named sets")
	}
	decided[reflect.TypeOf(pred.SetUpdate{})] = true
	for e, want := range told {
		decided[reflect.TypeOf(e)] = true
		how, why := Can(e, 1<<packet.Forward)
		if (how == translate.Told) != want || (why == "") != want {
			t.Errorf("%s: %v %q", e, how, why)
		}
		if want && target.Of(packet.IPv4, e) == nil {
			t.Errorf("%s has no words", e)
		}
	}
	for _, e := range pred.Effects {
		if !decided[reflect.TypeOf(e)] {
			t.Errorf("%T is not decided about", e)
		}
	}
	if how, _ := Can(pred.Dup{}, 1<<packet.Output); how != translate.Never {
		t.Error("a copy at OUTPUT would be sent by a shim")
	}
}

// The kernel looks for these options in the rule itself.
func TestGuard(t *testing.T) {
	for e, want := range map[pred.Effect][]string{
		pred.SynProxy{}: {"-p", "tcp"}, pred.StripTCPOptions{}: {"-p", "tcp"}, pred.SetECN{SetCWR: true}: {"-p", "tcp"}, pred.SetECN{SetIP: true}: nil,
		pred.Reject{Reset: true}: {"-p", "tcp"}, pred.Reject{}: nil, pred.SetMSS{}: {"-p", "tcp", "-m", "tcp", "--tcp-flags", "SYN", "SYN"},
		pred.Track{Helper: "ftp", Proto: 6}: {"-p", "6"}, pred.Track{Zone: 1}: nil, pred.TProxy{Proto: 17}: {"-p", "17"},
	} {
		if got := guard(e); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", e, got, want)
		}
	}
}
