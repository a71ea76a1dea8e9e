package shim

import (
	"encoding/binary"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// run is a rule of nf_tables that runs an effect, or one of several of which one does it.
// What stands first can end the rule, as nf_tables does where a packet cannot be written:
// then the action is not done, and the packet is dropped.
type run struct {
	first anchor.Rule // before the action counts as done
	then  anchor.Rule
}

// changeHeader is a change of the IP header. As in xtables, one that changes nothing writes
// nothing (ttl_tg(), net/netfilter/xt_HL.c; tos_tg(), net/netfilter/xt_DSCP.c).
func changeHeader(family packet.Family, c pred.HeaderChange) []run {
	var all []run
	if same := unchanged(c); same != nil {
		all = append(all, run{first: same})
	}
	off, n := uint32(c.Off), uint32(c.Width)
	var change anchor.Rule
	switch {
	case c.Add != 0:
		var to [256]byte
		for i := range to {
			to[i] = byte(c.Apply(uint16(i)))
		}
		change = anchor.Rule{anchor.LoadHeader(off, n), anchor.Map(to)}
	case c.Keep == 0:
		change = anchor.Rule{anchor.Put(bytes(c, c.Xor))}
	default:
		change = append(anchor.Rule{anchor.LoadHeader(off, n)}, anchor.Flips(bytes(c, c.Keep), bytes(c, c.Xor))...)
	}
	last := run{first: append(change, anchor.StoreHeader(off, n, family == packet.IPv4))}
	if family == packet.IPv4 {
		last.then = anchor.ZeroSum()
	}
	return append(all, last)
}

// unchanged asks whether a change leaves the number as it is; nil: it never does.
func unchanged(c pred.HeaderChange) anchor.Rule {
	off, n := uint32(c.Off), uint32(c.Width)
	if c.Add != 0 {
		limit := uint16(0)
		if c.Add > 0 {
			limit = 255
		}
		return anchor.Rule{anchor.LoadHeader(off, n), anchor.Equals(bytes(c, limit))}
	}
	if c.Keep&c.Xor != 0 {
		return nil
	}
	fixed := bytes(c, ^c.Keep)
	return anchor.Rule{anchor.LoadHeader(off, n), anchor.Bits(fixed, make([]byte, n)), anchor.Equals(bytes(c, c.Xor))}
}

// writesFirst says whether an effect does something before the action counts as done.
func writesFirst(family packet.Family, e pred.Effect) bool {
	_, changes := pred.ChangesHeader(family, e)
	_, proxies := e.(pred.TProxy)
	return changes || proxies
}

// bytes is a number as the change has it on the wire.
func bytes(c pred.HeaderChange, n uint16) []byte {
	if c.Width == 1 {
		return []byte{byte(n)}
	}
	return binary.BigEndian.AppendUint16(nil, n)
}
