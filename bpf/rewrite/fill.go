package rewrite

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Shorten keeps of a program without holes what can run.
func Shorten(program asm.Instructions, known *Constants) (asm.Instructions, error) {
	return reachable(split(program), known)
}

// Fill puts generated functions instead of those functions of a program that holes
// names, and drops functions that nothing calls: the verifier refuses dead code. Of the rest
// of the program it keeps what can run, if it is given what is known.
func Fill(program, generated asm.Instructions, known *Constants, holes ...string) (asm.Instructions, error) {
	fixed, typed, err := parts(program, generated, holes)
	if err != nil {
		return nil, err
	}
	return reachable(append(fixed, typed...), known)
}

// FillInline does the same, and puts generated functions in the place of their calls, if they
// can be. What the verifier knows of the facts must not depend on where it comes from.
func FillInline(program, generated asm.Instructions, known *Constants, holes ...string) (asm.Instructions, error) {
	fixed, typed, err := parts(program, generated, holes)
	if err != nil {
		return nil, err
	}
	if known != nil {
		fixed[0].insns, fixed[0].whole = known.Fold(fixed[0].insns), true
	}
	for _, f := range typed {
		if !slices.Contains(holes, f.name) || !canInline(f.insns) || !calls(fixed[0].insns, f.name) {
			continue
		}
		if fixed[0].insns, err = inline(fixed[0].insns, f.insns); err != nil {
			return nil, err
		}
	}
	return reachable(append(fixed, typed...), known)
}

// parts gives the functions of a program without the holes that are filled, and the generated
// ones with the type of a hole. Nothing is taken out of the generated ones. The first one must
// fill a hole; what is in those that none fills stays.
func parts(program, generated asm.Instructions, holes []string) (fixed, typed []function, err error) {
	var stub *btf.Func
	for _, f := range split(program) {
		if slices.Contains(holes, f.name) {
			stub = btf.FuncMetadata(&f.insns[0])
			if defines(generated, f.name) {
				continue
			}
		}
		fixed = append(fixed, f)
	}
	if stub == nil {
		return nil, nil, fmt.Errorf("the datapath has none of the functions %v", holes)
	}
	if len(generated) == 0 || !slices.Contains(holes, generated[0].Symbol()) {
		return nil, nil, fmt.Errorf("generated code does not begin with one of %v", holes)
	}
	typed = split(typeFunctions(generated, stub))
	for i := range typed {
		typed[i].whole = true
	}
	return fixed, typed, nil
}

// defines says whether instructions have a function, or a place, of some name.
func defines(insns asm.Instructions, name string) bool {
	return slices.ContainsFunc(insns, func(ins asm.Instruction) bool { return ins.Symbol() == name })
}
