package packet

// IPv6 extension header numbers (include/net/ipv6.h).
const (
	extHop      = 0
	extRouting  = 43
	extFragment = 44
	extAuth     = 51
	extNone     = 59
	extDest     = 60
)

// Decode reads the facts that lie in the bytes of a packet, from the IP header on.
// The header itself must be whole, as it is at every netfilter hook; ok is false
// when it is not.
func Decode(family Family, raw []byte) (f *Facts, ok bool) {
	f = &Facts{Family: family, Raw: raw, Len: uint32(len(raw)), World: &World{}}
	if family == IPv4 {
		if len(raw) < 20 || raw[0]>>4 != 4 || raw[0]&15 < 5 {
			return nil, false
		}
		f.Proto = raw[9]
		f.THOff = uint16(raw[0]&15) * 4
		f.FragOff = be16(raw[6:]) & 0x1fff
		return f, true
	}
	if len(raw) < 40 || raw[0]>>4 != 6 {
		return nil, false
	}
	f.findL4()
	return f, true
}

func isExt(next uint8) bool {
	switch next {
	case extHop, extRouting, extFragment, extAuth, extNone, extDest:
		return true
	}
	return false
}

// ExtResult is the outcome of looking for an IPv6 extension header.
type ExtResult struct {
	State   L4State
	Header  uint8  // the header found
	Off     int    // its offset in Raw
	FragOff uint16 // of the fragment header passed, in bytes
}

// FindExt walks the IPv6 headers as ipv6_find_hdr() does
// (net/ipv6/exthdrs_core.c), without flags. A target below 0 asks for the
// transport header.
func (f *Facts) FindExt(target int) ExtResult {
	next, off := f.Raw[6], 40
	for {
		found := int(next) == target
		if !isExt(next) || next == extNone {
			if target < 0 || found {
				return ExtResult{State: L4Found, Header: next, Off: off}
			}
			return ExtResult{State: L4None}
		}
		hdr, ok := f.Bytes(off, 2)
		if !ok {
			return ExtResult{State: L4Broken}
		}
		size := (int(hdr[1]) + 1) * 8
		switch next {
		case extRouting:
			if _, ok := f.Bytes(off, 4); !ok {
				return ExtResult{State: L4Broken}
			}
		case extFragment:
			b, ok := f.Bytes(off+2, 2)
			if !ok {
				return ExtResult{State: L4Broken}
			}
			if frag := be16(b) &^ 7; frag != 0 {
				if target < 0 && (!isExt(hdr[0]) || hdr[0] == extNone) {
					return ExtResult{State: L4Found, Header: hdr[0], Off: 0, FragOff: frag}
				}
				if target < 0 { // -ENOENT, which ip6_packet_match() takes for a fault
					return ExtResult{State: L4Broken}
				}
				if !found {
					return ExtResult{State: L4None, FragOff: frag}
				}
				return ExtResult{State: L4Found, Header: next, Off: off, FragOff: frag}
			}
			size = 8
		case extAuth:
			size = (int(hdr[1]) + 2) * 4
		}
		if found {
			return ExtResult{State: L4Found, Header: next, Off: off}
		}
		next, off = hdr[0], off+size
	}
}

func (f *Facts) findL4() {
	r := f.FindExt(-1)
	f.L4, f.Proto, f.THOff, f.FragOff = r.State, r.Header, uint16(r.Off), r.FragOff
}
