package anchor

import (
	"fmt"
	"hash/fnv"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The second register of what looks at two numbers.
const regOther = unix.NFT_REG_2

// SaveSecMark copies the security mark of the packet to a connection that has none, as
// secmark_save() does (net/netfilter/xt_CONNSECMARK.c).
func SaveSecMark() Rule {
	return append(secMarks(reg, regOther), &expr.Ct{Register: reg, SourceRegister: true, Key: expr.CtKeySECMARK})
}

// RestoreSecMark copies the security mark of the connection to a packet that has none, as
// secmark_restore() does.
func RestoreSecMark() Rule {
	return append(secMarks(regOther, reg), &expr.Meta{Key: unix.NFT_META_SECMARK, SourceRegister: true, Register: regOther})
}

// secMarks reads the marks of the packet and of its connection into registers, of which one must have a mark and
// the other none. The rule ends for others, and for a packet without connection.
func secMarks(has, none uint32) Rule {
	return Rule{
		&expr.Meta{Key: unix.NFT_META_SECMARK, Register: reg},
		&expr.Ct{Register: regOther, Key: expr.CtKeySECMARK},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: has, Data: native32(0)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: none, Data: native32(0)},
	}
}

// secMark is a reference to an object with a security context, with a name that begins with that of the rule's chain.
type secMark struct {
	*expr.Objref
	context string
}

// SecMark gives the packet the security mark of a context (nft_secmark_obj_eval(), net/netfilter/nft_meta.c; it is
// what secmark_tg() does, net/netfilter/xt_SECMARK.c). The rule must be in the chain of that name.
func SecMark(chain, context string) Rule {
	h := fnv.New64a()
	h.Write([]byte(context))
	name := fmt.Sprintf("%s%s%x", chain, ofChain, h.Sum64())
	return Rule{&secMark{&expr.Objref{Type: unix.NFT_OBJECT_SECMARK, Name: name}, context}}
}

func (s *secMark) prepare(b *batch) error {
	b.addObject(object{s.Name, unix.NFT_OBJECT_SECMARK}, text(secMarkContext, s.context))
	return nil
}

// secMarkContext is NFTA_SECMARK_CTX (include/uapi/linux/netfilter/nf_tables.h).
const secMarkContext = 1
