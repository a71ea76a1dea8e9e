package anchor

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
)

// Rule is the expressions of one rule, in order.
type Rule []expr.Any

// Jump goes to a chain and comes back.
func Jump(chain string) expr.Any { return &expr.Verdict{Kind: expr.VerdictJump, Chain: chain} }

// Goto goes to a chain and comes back to where the one before was called.
func Goto(chain string) expr.Any { return &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain} }

// Return goes back to behind the jump that led here.
func Return() expr.Any { return &expr.Verdict{Kind: expr.VerdictReturn} }

// Drop ends the packet.
func Drop() expr.Any { return &expr.Verdict{Kind: expr.VerdictDrop} }

// Accept ends the base chain; chains at later priorities follow.
func Accept() expr.Any { return &expr.Verdict{Kind: expr.VerdictAccept} }

// prepared is an expression with a part to be made when its rule is added.
type prepared interface {
	prepare(b *batch) error
}

// target is the chain that a rule goes to; "" when it goes to none.
func target(r Rule) string {
	for _, e := range r {
		if v, ok := e.(*expr.Verdict); ok {
			return v.Chain
		}
	}
	return ""
}

// The match "bpf" of xtables, revision 1 (include/uapi/linux/netfilter/xt_bpf.h): mode,
// number of instructions, file descriptor, path, and a pointer of the kernel's own.
const (
	bpfMode     = 0
	bpfPath     = 8
	bpfSize     = 528
	bpfPinned   = 1   // XT_BPF_MODE_FD_PINNED: the kernel opens the path
	bpfPathRoom = 512 // XT_BPF_PATH_MAX, with the zero at the end
)

// Ask runs a pinned program on the packet; the rule goes on if its answer is not 0. The
// kernel opens the path when the rule is added, and keeps the program.
func Ask(path string) expr.Any {
	info := make(xt.Unknown, bpfSize)
	binary.NativeEndian.PutUint16(info[bpfMode:], bpfPinned)
	copy(info[bpfPath:bpfPath+bpfPathRoom-1], path)
	return &expr.Match{Name: "bpf", Rev: 1, Info: &info}
}
