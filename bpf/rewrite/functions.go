package rewrite

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// function is a run of instructions that begins with a symbol.
type function struct {
	name  string
	insns asm.Instructions
	whole bool // nothing is to be taken out
}

// split cuts instructions into functions.
func split(insns asm.Instructions) []function {
	var out []function
	start := 0
	for i := 1; i <= len(insns); i++ {
		if i == len(insns) || (insns[i].Symbol() != "" && btf.FuncMetadata(&insns[i]) != nil) {
			out = append(out, function{name: insns[start].Symbol(), insns: insns[start:i]})
			start = i
		}
	}
	return out
}

// calls says whether a function calls another one.
func calls(insns asm.Instructions, name string) bool {
	return slices.ContainsFunc(insns, func(ins asm.Instruction) bool {
		return ins.IsFunctionReference() && ins.Reference() == name
	})
}

// typeFunctions gives every generated function the type of the stub.
func typeFunctions(generated asm.Instructions, stub *btf.Func) asm.Instructions {
	out := make(asm.Instructions, len(generated))
	copy(out, generated)
	targets := jumpTargets(out)
	for i := range out {
		name := out[i].Symbol()
		if name == "" || targets[name] {
			continue
		}
		if out[i].Source() == nil {
			out[i] = out[i].WithSource(asm.Comment(name))
		}
		fn := &btf.Func{Name: name, Type: stub.Type, Linkage: btf.GlobalFunc}
		out[i] = btf.WithFuncMetadata(out[i], fn)
	}
	return out
}

// Untype takes types and lines from a program of a single function, for which the kernel needs
// none: to load them takes as long as to verify a small program.
func Untype(insns asm.Instructions) {
	for i := range insns {
		if i > 0 && btf.FuncMetadata(&insns[i]) != nil {
			return
		}
	}
	for i := range insns {
		insns[i] = btf.WithFuncMetadata(insns[i].WithSource(nil), nil)
	}
}

// jumpTargets are the symbols inside functions: those that jumps refer to.
func jumpTargets(insns asm.Instructions) map[string]bool {
	out := map[string]bool{}
	for i := range insns {
		if op := insns[i].OpCode.JumpOp(); op != asm.InvalidJumpOp && op != asm.Call && insns[i].Reference() != "" {
			out[insns[i].Reference()] = true
		}
	}
	return out
}

// reachable keeps the functions that the first one calls, directly or not, and of them what
// can run.
func reachable(functions []function, known *Constants) (asm.Instructions, error) {
	byName := make(map[string]int, len(functions))
	for i, f := range functions {
		if _, twice := byName[f.name]; twice {
			return nil, fmt.Errorf("function %s is defined twice", f.name)
		}
		byName[f.name] = i
	}
	keep := make([]bool, len(functions))
	queue := []int{0}
	keep[0] = true
	total := 0
	for len(queue) > 0 {
		f := &functions[queue[0]]
		queue = queue[1:]
		if known != nil && !f.whole {
			f.insns = known.Fold(f.insns)
		}
		total += len(f.insns)
		for i := range f.insns {
			ins := &f.insns[i]
			if !ins.IsFunctionReference() {
				continue
			}
			callee, ok := byName[ins.Reference()]
			if !ok {
				return nil, fmt.Errorf("function %s calls %s, which does not exist", f.name, ins.Reference())
			}
			if !keep[callee] {
				keep[callee] = true
				queue = append(queue, callee)
			}
		}
	}
	out := make(asm.Instructions, 0, total)
	for i, f := range functions {
		if keep[i] {
			out = append(out, f.insns...)
		}
	}
	return out, nil
}
