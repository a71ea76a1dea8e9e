package attach

import (
	"encoding/binary"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// clockBase keeps the clock of a test away from 0, which means "not asked yet" to
// the state of a limit.
const clockBase = 1 << 32

// given spells facts for the test program.
func given(f *packet.Facts) *abi.ProbeGiven {
	g := &abi.ProbeGiven{Jiffies: clockBase + f.World.Jiffies}
	g.Facts.Len = f.Len
	g.Facts.Mark = f.Mark
	g.Facts.Ctstate = f.CtState
	g.Facts.Hasconn = pred.NumberOf(f, pred.FieldHasConn)
	g.Facts.Ctmark = pred.NumberOf(f, pred.FieldCtMark)
	g.Facts.Ether = uint8(pred.NumberOf(f, pred.FieldEther))
	g.Facts.MacHi = pred.NumberOf(f, pred.FieldMACHi)
	g.Facts.MacLo = uint16(pred.NumberOf(f, pred.FieldMACLo))
	g.Facts.Iif, g.Facts.Oif = name(f.In), name(f.Out)
	g.Names[pred.NameIn], g.Names[pred.NameOut] = g.Facts.Iif, g.Facts.Oif
	g.Names[pred.NamePhysIn], g.Names[pred.NamePhysOut] = name(f.PhysIn), name(f.PhysOut)
	for of := range pred.NumFields {
		g.Fields[of] = uint64(pred.NumberOf(f, of))
	}
	for of := pred.AddrCtOrigSrc; of <= pred.AddrCtReplDst; of++ {
		a := pred.AddressOf(f, of)
		for i := range g.Addrs[of] {
			g.Addrs[of][i] = binary.NativeEndian.Uint32(a[4*i:])
		}
	}
	if f.World.Random != nil {
		g.Random = f.World.Random()
	}
	if pred.ForwardedBy(f) {
		g.Forwarded = 1
	}
	if f.Family == packet.IPv4 {
		givenTypes(g, f)
	}
	return g
}

// givenTypes asks the world for the types of both addresses, in general and limited
// to the devices.
func givenTypes(g *abi.ProbeGiven, f *packet.Facts) {
	for i, dev := range []string{"", f.In.Name, f.Out.Name} {
		g.Types[0][i] = pred.TypeOf4(f.World, f.Src(), dev)
		g.Types[1][i] = pred.TypeOf4(f.World, f.Dst(), dev)
	}
}

// name pads the name of an interface with zeros.
func name(i packet.Iface) (out [16]byte) {
	copy(out[:15], i.Name)
	return out
}
