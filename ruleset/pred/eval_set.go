package pred

import (
	"encoding/binary"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// setMemory is the identity of a set among the states of a world.
type setMemory struct{ name string }

// SetState is the elements of a named set: when each leaves it, in nanoseconds; 0: never.
type SetState struct {
	Elements map[string]uint64
	Size     int // how many there may be; 0: any number
}

// StateOf is a set of a world, for those that fill it or look at it.
func StateOf(w *packet.World, set string) *SetState {
	return memory(&packet.Facts{World: w}, setMemory{set}, func() *SetState { return &SetState{Elements: map[string]uint64{}} })
}

// Has says whether an element is in the set at a time.
func (s *SetState) Has(key string, now uint64) bool {
	expires, is := s.Elements[key]
	return is && (expires == 0 || int64(now-expires) < 0)
}

// update makes a change; no: the set is full.
func (s *SetState) update(op SetOp, key string, expires, now uint64) Answer {
	switch {
	case op == SetDelete:
		delete(s.Elements, key)
		return Yes
	case s.Has(key, now) && op == SetAdd:
		return Yes
	}
	if _, there := s.Elements[key]; !there && s.Size > 0 && len(s.Elements) >= s.Size {
		return No
	}
	s.Elements[key] = expires
	return Yes
}

func (p InSet) eval(e *evaluator) Answer {
	return Bool(StateOf(e.f.World, p.Set).Has(e.key(p.Key), e.f.World.Nanoseconds()))
}

func (p SetUpdate) eval(e *evaluator) Answer {
	now, expires := e.f.World.Nanoseconds(), uint64(0)
	if p.TimeoutMsec > 0 {
		expires = now + p.TimeoutMsec*1_000_000
	}
	return StateOf(e.f.World, p.Set).update(p.Op, e.key(p.Key), expires, now)
}

// key is the key of the packet as sets have it, see AppendKey.
func (e *evaluator) key(k SetKey) string {
	var b []byte
	for _, p := range k.Parts() {
		switch p.Kind {
		case KeyAddr:
			a := e.addr(p.Addr)
			b = AppendKey(b, a[:p.Len(e.f.Family)])
		case KeyName:
			n := e.name(p.Name)
			b = AppendKey(b, n[:])
		case KeyLoad:
			number := binary.BigEndian.AppendUint32(nil, e.value(p.Load))
			b = AppendKey(b, number[4-p.Load.Width:])
		case KeyField:
			b = AppendKey(b, binary.NativeEndian.AppendUint32(nil, e.field(p.Field)))
		}
	}
	return string(b)
}

// AppendKey appends a part of a key: bytes as on the wire, names padded with zeros to 16
// bytes, other numbers in the host's order in four bytes. Each begins at a multiple of four.
func AppendKey(key, part []byte) []byte {
	key = append(key, part...)
	for len(key)%4 != 0 {
		key = append(key, 0)
	}
	return key
}
