package attach

import (
	"testing"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// most is how many instructions the verifier may walk, by one instruction of rows that a program can
// run beside those that nearly cost nothing.
var most = []struct {
	name string
	op   uint32
	v4   uint32
	v6   uint32
}{
	{"none", abi.OpYes, 16_000, 18_000},
	{"header of IPv6", abi.OpFindExt, 17_000, 19_000},
	{"option of TCP", abi.OpTCPOption, 17_000, 19_000},
	{"size of segments", abi.OpTCPMSS, 17_000, 19_000},
	{"option of DCCP", abi.OpDCCPOption, 17_000, 19_000},
	{"chunks of SCTP", abi.OpSCTPChunks, 19_000, 21_000},
	{"type of an address", abi.OpAddrType, 18_000, 32_000},
	{"recent", abi.OpRecent, 18_000, 20_000},
	{"named set", abi.OpNamedSet, 20_000, 22_000},
	{"larger segments", abi.OpAddMSS, 17_000, 19_000},
	{"demand of a target", abi.OpMeetsDemand, 17_000, 19_000},
	{"text", abi.OpSearch, 65_000, 67_000},
	{"meter", abi.OpMeter, 17_000, 20_000},
	{"quota", abi.OpQuota, 17_000, 19_000},
	{"groups", abi.OpGroups, 17_000, 19_000},
	{"control group", abi.OpControlGroup, 17_000, 19_000},
	{"reverse path", abi.OpReversePath, 18_000, 22_000},
}

// TestVerifierEffort loads programs of rows alone: what they cost is what the first change of a table costs, and what
// makes them wider.
func TestVerifierEffort(t *testing.T) {
	needsRoot(t)
	for _, m := range most {
		t.Run(m.name, func(t *testing.T) {
			for family, limit := range map[packet.Family]uint32{packet.IPv4: m.v4, packet.IPv6: m.v6} {
				walked, known := effort(t, family, 1<<m.op|1<<abi.OpNo|1<<abi.OpFact|1<<abi.OpField|1<<abi.OpBytes|1<<abi.OpBounds|1<<abi.OpLimit|1<<abi.OpU32Load)
				if known && walked > limit {
					t.Errorf("%s: the verifier walks %d instructions, at most %d wanted", family, walked, limit)
				}
			}
		})
	}
}

// effort loads a program of rows alone that runs some instructions, and says how many the verifier walked;
// false: the kernel does not say.
func effort(t *testing.T, family packet.Family, ops uint64) (uint32, bool) {
	t.Helper()
	const rows, index = 1 << 12, 1 << 16
	p := &codegen.Program{Family: family, Rows: true, Ops: ops, Base: 1, Hook: packet.Input, Rules: 1}
	spec, prog, err := specOf(p, seat{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := setRowsAlone(spec); err != nil {
		t.Fatal(err)
	}
	if err := set(spec, map[string]uint32{
		abi.NetfilterVarRowsMask: rows - 1, abi.NetfilterVarIndexMask: index - 1,
		abi.NetfilterVarProgramOps: uint32(ops), abi.NetfilterVarProgramMoreOps: uint32(ops >> 32),
	}); err != nil {
		t.Fatal(err)
	}
	spec.Maps[abi.NetfilterMapClassRows].ValueSize = 4 * rows * abi.RowSize6
	spec.Maps[abi.NetfilterMapClassIndex].ValueSize = 4 * (index + abi.IndexSlack)
	given := madeMaps(t, spec, p)
	defer given.Close()
	loaded, err := loadGenerated(p, spec, prog, given)
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	info, err := loaded.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.VerifiedInstructions()
}
