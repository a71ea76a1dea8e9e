package attach

import (
	"encoding/binary"
	"hash/fnv"
	"reflect"

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
	g.Facts.Iif, g.Facts.Oif = name(f.In), name(f.Out)
	g.Names[pred.NameIn], g.Names[pred.NameOut] = g.Facts.Iif, g.Facts.Oif
	g.Names[pred.NamePhysIn], g.Names[pred.NamePhysOut] = name(f.PhysIn), name(f.PhysOut)
	facts := reflect.ValueOf(&g.Facts).Elem()
	for of := range pred.NumFields {
		g.Fields[of] = uint64(pred.NumberOf(f, of))
		if of.InFacts() { // the test program takes what it cannot read from its packet
			facts.FieldByName(of.Cell()).SetUint(g.Fields[of])
		}
	}
	for of := pred.AddrCtOrigSrc; of <= pred.AddrCtReplDst; of++ {
		a := pred.AddressOf(f, of)
		for i := range g.Addrs[of] {
			g.Addrs[of][i] = binary.NativeEndian.Uint32(a[4*i:])
		}
	}
	givenConn(g, f.Conn)
	givenTransforms(g, f)
	g.Clock = f.World.Clock
	if f.World.Random != nil {
		g.Random = f.World.Random()
	}
	if pred.ForwardedBy(f) {
		g.Forwarded = 1
	}
	givenTypes(g, f)
	if f.Sock != nil {
		g.Ngroups = uint32(copy(g.Groups[:], f.Sock.Groups))
		for i, path := range pred.ControlGroups(f.Sock.ControlGroup) {
			if i < len(g.ControlGroups) {
				g.ControlGroups[i] = givenGroup(path)
			}
		}
	}
	for options := range uint32(8) {
		how := packet.ReversePath{Loose: options&1 != 0, ByMark: options&2 != 0, AcceptLocal: options&4 != 0}
		if pred.ReversePathOf(f.World, how) {
			g.Reverse |= 1 << how.Bits()
		}
	}
	return g
}

// givenGroup stands for the number of a control group, which a test need not have.
func givenGroup(path string) uint64 {
	all := pred.ControlGroups(path)
	h := fnv.New64a()
	_, _ = h.Write([]byte(all[len(all)-1]))
	return h.Sum64()
}

// givenTransforms gives what IPsec did and will do.
func givenTransforms(g *abi.ProbeGiven, f *packet.Facts) {
	for out, all := range [][]packet.Transform{f.Decrypted, f.Encrypts} {
		for i, t := range all[:min(len(all), len(g.Transforms[out]))] {
			g.Ntransforms[out]++
			to := &g.Transforms[out][i]
			to.Spi = binary.NativeEndian.Uint32(binary.BigEndian.AppendUint32(nil, t.SPI))
			to.Reqid, to.Proto, to.Mode = t.ReqID, uint32(t.Proto), uint32(t.Mode)
			for i, a := range [][]byte{t.Src.AsSlice(), t.Dst.AsSlice()} {
				for j := 0; j < len(a); j += 4 {
					[]*[4]uint32{&to.Src, &to.Dst}[i][j/4] = binary.NativeEndian.Uint32(a[j:])
				}
			}
		}
	}
}

// givenConn gives what the kernel counts of a connection, and its labels.
func givenConn(g *abi.ProbeGiven, c *packet.Conn) {
	if c == nil {
		return
	}
	g.Labels = c.Labels
	if c.Carried == nil {
		return
	}
	g.Counted = 1
	for i, n := range c.Carried {
		g.Carried[i].Packets, g.Carried[i].Bytes = n.Packets, n.Bytes
	}
}

// givenTypes asks the world for the types of both addresses, in general and limited
// to the devices.
func givenTypes(g *abi.ProbeGiven, f *packet.Facts) {
	for i, dev := range []string{"", f.In.Name, f.Out.Name} {
		g.Types[0][i] = pred.TypesOf(f.World, f.Src(), dev)
		g.Types[1][i] = pred.TypesOf(f.World, f.Dst(), dev)
	}
}

// name pads the name of an interface with zeros.
func name(i packet.Iface) (out [16]byte) {
	copy(out[:15], i.Name)
	return out
}
