package attach_test

import (
	"reflect"
	"testing"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

func udp4(dport byte) []byte {
	return []byte{
		0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1,
		0x12, 0x34, 0, dport, 0, 9, 0, 0, 'x',
	}
}

func TestRunner(t *testing.T) {
	inNamespace(t)
	for _, hook := range []packet.Hook{packet.Input, packet.Output} {
		p := dropPort(packet.IPv4, "filter", hook, 9, 5, 6)
		r, err := attach.NewRunner(&p, 1000)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, c := range []struct {
			dport byte
			want  attach.Outcome
		}{
			{9, attach.Outcome{Verdict: abi.Drop, Rule: 0, Actions: []uint32{5, 6}}},
			{10, attach.Outcome{Verdict: abi.Accept, Rule: 1, Actions: []uint32{}}},
		} {
			f, _ := packet.Decode(packet.IPv4, udp4(c.dport))
			f.Hook = hook
			got, err := r.Run(f)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, c.want) {
				t.Errorf("%s port %d: %+v, want %+v", hook, c.dport, *got, c.want)
			}
		}
		counters, err := r.Counters()
		if err != nil || counters[0].Bytes != 29 || counters[1].Packets != 1 {
			t.Errorf("%s: counters %v (%v)", hook, counters, err)
		}
	}
}

// TestRunnerWorld asks for things that a test run does not have by itself.
func TestRunnerWorld(t *testing.T) {
	inNamespace(t)
	limit := ifYes(packet.IPv4, abi.FuncLimit, 0)
	limit.Limits = []pred.Limit{{Avg: 10000, Burst: 1}}
	r, err := attach.NewRunner(&limit, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, c := range []struct {
		jiffies uint64
		want    int32
	}{{0, abi.Drop}, {999, abi.Accept}, {1000, abi.Drop}, {1500, abi.Accept}, {2000, abi.Drop}} {
		f, _ := packet.Decode(packet.IPv4, udp4(9))
		f.World.Jiffies = c.jiffies
		if got, err := r.Run(f); err != nil || got.Verdict != c.want {
			t.Errorf("jiffy %d: %+v (%v), want %d", c.jiffies, got, err, c.want)
		}
	}
}
