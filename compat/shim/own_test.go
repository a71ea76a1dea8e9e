package shim

import (
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// TestToolsOnly: what is told to netfilter runs in our table, but for these.
func TestToolsOnly(t *testing.T) {
	tools := map[pred.Effect]bool{
		pred.ChangeKernelSet{Map: pred.KernelSetKey{Set: "a", Dirs: "src"}}: true, pred.NewMarker([]string{"HMARK"}): true, pred.SynProxy{}: true, pred.NPT{}: true, pred.StripTCPOptions{}: true, pred.SetECN{SetECE: true}: true,
		pred.FillChecksum{}: true, pred.Track{Timeout: "slow", Proto: 6}: true,
		pred.Track{Events: 1}: true, pred.Track{ExpectEvents: 1}: true, pred.Track{Helper: "ftp", Proto: 6, Events: 1}: true,
		pred.Track{Helper: "ftp", Proto: 6}: false, pred.Track{ZoneFromMark: true, ZoneOf: pred.ZoneReply}: false,
		pred.RateEst{Name: "a", IntervalUsec: 250000, AverageUsec: 1000000}: false,
	}
	for e, is := range told {
		if _, known := tools[e]; is && !known && e != (pred.RateEst{}) {
			tools[e] = false
		}
	}
	for e, want := range tools {
		if _, err := (spot{packet.IPv4, "chain", packet.Prerouting}).runs(e); (err != nil) != want {
			t.Errorf("%s: for the tools of iptables alone: %t (%v)", e, err != nil, err)
		}
	}
}
