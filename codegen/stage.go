package codegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// generator writes functions: those of one hook, or those of the early stage. The embedded
// Builder is the one of the function at hand.
type generator struct {
	*emit.Builder
	family     packet.Family
	stage      stage
	hot        emit.Label // where hotdrop goes
	needs      uint32
	classified bool
	insns      asm.Instructions
}

// stage is what differs between the programs of the hooks, which know all that rules ask and
// decide, and those of the early stage, which leave to the hooks what they are not sure of.
type stage interface {
	// accept ends a table's traversal, by a rule or a policy.
	accept(g *generator, rule uint32)
	// count credits a rule that does not end the traversal.
	count(g *generator, rule uint32)
	// hotdrop is what a function returns for a packet that a rule would drop at once.
	hotdrop() emit.Result
	// ensure makes a field good that is not filled before the first rule, for a question about
	// some of its bits.
	ensure(g *generator, f pred.Field, mask uint32)
	// ensureClass does so for all that the rows of a classified chain ask.
	ensureClass(g *generator, c *plan.Class)
	// ask generates a predicate in a way of its own; false: there is none.
	ask(g *generator, p pred.Pred, no emit.Label) bool
}

// hookStage is that of the programs of the hooks.
type hookStage struct {
	atomic bool // another packet may interrupt the hook on the same processor
}

func (hookStage) accept(g *generator, rule uint32)           { g.Decide(rule, emit.Accept) }
func (s hookStage) count(g *generator, rule uint32)          { g.Count(rule, s.atomic) }
func (hookStage) hotdrop() emit.Result                       { return emit.Hotdrop }
func (hookStage) ensure(*generator, pred.Field, uint32)      {}
func (hookStage) ensureClass(*generator, *plan.Class)        {}
func (hookStage) ask(*generator, pred.Pred, emit.Label) bool { return false }
