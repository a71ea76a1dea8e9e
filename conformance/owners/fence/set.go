package fence

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

func readSet(family packet.Family, words []string) (*ruleset.Set, error) {
	size, err := strconv.Atoi(words[2])
	s := &ruleset.Set{
		Name: Owner + "/" + words[0], Owner: Owner, Size: size, Flags: ruleset.SetDynamic,
		Type: []ruleset.KeyType{ruleset.KeyPort},
	}
	if words[1] == "addr" {
		s.Type[0] = map[packet.Family]ruleset.KeyType{packet.IPv4: ruleset.KeyAddr4, packet.IPv6: ruleset.KeyAddr6}[family]
	}
	for e := range strings.FieldsFuncSeq(words[3], func(r rune) bool { return r == ',' || r == '-' }) {
		var part []byte
		if words[1] == "addr" {
			var a netip.Addr
			a, err = netip.ParseAddr(e)
			part = a.AsSlice()
		} else {
			var port uint64
			port, err = strconv.ParseUint(e, 10, 16)
			part = binary.BigEndian.AppendUint16(nil, uint16(port))
		}
		if err != nil {
			return nil, err
		}
		s.Elements = append(s.Elements, ruleset.Element{Key: pred.AppendKey(nil, part)})
	}
	return s, err
}

// keyOf is what of a packet is in a set: one whose name begins with "port" has ports.
func keyOf(set string) pred.SetKey {
	if strings.HasPrefix(set, "port") {
		return pred.KeyOf(pred.Load{Base: pred.BaseL4, Off: 2, Width: 2})
	}
	return pred.KeyOf(pred.AddrSrc)
}

// add puts the source or the port of a packet into a set.
type add string

func (a add) Word() string               { return "add" }
func (a add) Args() []string             { return []string{"add", string(a)} }
func (a add) Check(*ruleset.Place) error { return nil }
func (a add) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.SetUpdate{Set: Owner + "/" + string(a), Key: keyOf(string(a))})
}
