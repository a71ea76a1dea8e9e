package anchor

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// reg is the register that the expressions of an effect use.
const reg = unix.NFT_REG_1

// Log writes a line to the kernel log, as xt_LOG does: both call nf_log_packet()
// (nft_log_eval(), net/netfilter/nft_log.c). level is that of syslog, flags are
// NF_LOG_* (include/uapi/linux/netfilter/nf_log.h).
func Log(level, flags uint8, prefix string) Rule {
	l := &expr.Log{Level: expr.LogLevel(level), Flags: expr.LogFlags(flags), Key: 1<<unix.NFTA_LOG_LEVEL | 1<<unix.NFTA_LOG_FLAGS}
	if prefix != "" {
		l.Key |= 1 << unix.NFTA_LOG_PREFIX
		l.Data = []byte(prefix)
	}
	return Rule{l}
}

// RejectICMP drops the packet and answers with an ICMP or ICMPv6 error "unreachable" of the
// code (nf_send_unreach(), net/ipv4/netfilter/nf_reject_ipv4.c and its IPv6 twin).
func RejectICMP(code uint8) Rule {
	return Rule{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: code}}
}

// RejectTCP drops the packet and answers TCP segments with a reset (nf_send_reset()).
func RejectTCP() Rule { return Rule{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}} }

// SetMark changes the mark of the packet: mark = (mark & keep) ^ flip.
func SetMark(keep, flip uint32) Rule {
	return Rule{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg},
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4, Mask: native32(keep), Xor: native32(flip)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: reg},
	}
}

// SetPriority changes the priority of the packet, by which queueing disciplines class it
// (skb->priority).
func SetPriority(priority uint32) Rule {
	return Rule{
		&expr.Immediate{Register: reg, Data: native32(priority)},
		&expr.Meta{Key: expr.MetaKeyPRIORITY, SourceRegister: true, Register: reg},
	}
}

// Trace makes netfilter log the rules that the packet meets from here on
// (skb->nf_trace, as xt_TRACE sets it).
func Trace() Rule {
	return Rule{
		&expr.Immediate{Register: reg, Data: []byte{1}},
		&expr.Meta{Key: expr.MetaKeyNFTRACE, SourceRegister: true, Register: reg},
	}
}

// NoTrack keeps conntrack from the packet (nft_notrack_eval(), net/netfilter/nft_ct.c; the
// same as xt_CT with --notrack).
func NoTrack() Rule { return Rule{&expr.Notrack{}} }

// Target is a target of xtables with its struct in the kernel's layout. Targets that name
// a table in the kernel (REJECT, CT, TRACE, DNAT, TTL, ...) are refused in ours.
func Target(name string, revision uint32, info []byte) Rule {
	raw := xt.Unknown(info)
	return Rule{&expr.Target{Name: name, Rev: revision, Info: &raw}}
}

func native32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
