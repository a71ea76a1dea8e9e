package object_test

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/object"
)

// answer makes up what the kernel might say: each question gets another answer.
func answers(spec *ebpf.CollectionSpec) (out []object.Answer) {
	names := []string{}
	for name := range spec.Programs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for i := range spec.Programs[name].Instructions {
			if object.Asks(&spec.Programs[name].Instructions[i]) {
				out = append(out, object.Answer{OpCode: uint32(asm.Mov.Op(asm.ImmSource)), Dst: 3, Constant: int64(len(out))})
			}
		}
	}
	return out
}

// TestSameAsTheFile compares packed objects with their ELF files.
func TestSameAsTheFile(t *testing.T) {
	for name, read := range map[string]struct {
		file   func() (*ebpf.CollectionSpec, error)
		packed func() (*object.Object, error)
	}{
		"netfilter": {abi.LoadNetfilter, abi.Netfilter}, "shim": {abi.LoadShim, abi.Shim},
	} {
		want, err := read.file()
		if err != nil {
			t.Fatal(err)
		}
		packed, err := read.packed()
		if err != nil {
			t.Fatal(err)
		}
		given := answers(want)
		got := packed.Spec()
		if got.Programs, err = packed.Programs(given); err != nil {
			t.Fatal(err)
		}
		sameMaps(t, name, want, got)
		next := 0
		for _, p := range sorted(want.Programs) {
			next = samePrograms(t, name, want.Programs[p], got.Programs[p], given, next)
		}
		if len(got.Programs) != len(want.Programs) || next != len(given) {
			t.Errorf("%s: %d programs with %d questions, want %d with %d", name, len(got.Programs), next, len(want.Programs), len(given))
		}
	}
}

func sorted[T any](m map[string]T) (out []string) {
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func sameMaps(t *testing.T, object string, want, got *ebpf.CollectionSpec) {
	t.Helper()
	if !slices.Equal(sorted(want.Maps), sorted(got.Maps)) || !slices.Equal(sorted(want.Variables), sorted(got.Variables)) {
		t.Fatalf("%s: maps %v and variables %v", object, sorted(got.Maps), sorted(got.Variables))
	}
	for name, w := range want.Maps {
		g := got.Maps[name]
		if w.Name != g.Name || w.Type != g.Type || w.KeySize != g.KeySize || w.ValueSize != g.ValueSize ||
			w.MaxEntries != g.MaxEntries || w.Flags != g.Flags || len(w.Contents) != len(g.Contents) {
			t.Errorf("%s: map %s is %v, want %v", object, name, g, w)
			continue
		}
		for i := range w.Contents {
			if !slices.Equal(w.Contents[i].Value.([]byte), g.Contents[i].Value.([]byte)) {
				t.Errorf("%s: map %s holds something else", object, name)
			}
		}
	}
	for name, w := range want.Variables {
		g := got.Variables[name]
		if w.SectionName != g.SectionName || w.Offset != g.Offset || !slices.Equal(w.Value, g.Value) {
			t.Errorf("%s: variable %s is %v, want %v", object, name, g, w)
		}
	}
}

// samePrograms compares two programs, of which one has answers from one of them on, and gives
// the next one.
func samePrograms(t *testing.T, object string, want, got *ebpf.ProgramSpec, given []object.Answer, next int) int {
	t.Helper()
	if got == nil || got.Type != want.Type || got.AttachType != want.AttachType || got.License != want.License ||
		got.SectionName != want.SectionName || len(got.Instructions) != len(want.Instructions) {
		t.Fatalf("%s: program %s is another one", object, want.Name)
	}
	for i := range want.Instructions {
		w, g := &want.Instructions[i], &got.Instructions[i]
		if w.Symbol() != g.Symbol() || !sameFunction(btf.FuncMetadata(w), btf.FuncMetadata(g)) {
			t.Fatalf("%s: %s: instruction %d lost its name or type", object, want.Name, i)
		}
		if w.Symbol() != "" && btf.FuncMetadata(w) != nil && g.Source() == nil {
			t.Errorf("%s: %s: function %s has no line", object, want.Name, w.Symbol())
		}
		if isQuestion(w) {
			if g.Constant != given[next].Constant || g.Reference() != "" {
				t.Fatalf("%s: %s: instruction %d has not answer %d", object, want.Name, i, next)
			}
			next++
			continue
		}
		if w.OpCode != g.OpCode || w.Dst != g.Dst || w.Src != g.Src || w.Offset != g.Offset || w.Constant != g.Constant || w.Reference() != g.Reference() {
			t.Fatalf("%s: %s: instruction %d is %v, want %v", object, want.Name, i, g, w)
		}
	}
	return next
}

func isQuestion(ins *asm.Instruction) bool { return object.Asks(ins) }

func sameFunction(a, b *btf.Func) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Name == b.Name && a.Linkage == b.Linkage && len(a.Type.(*btf.FuncProto).Params) == len(b.Type.(*btf.FuncProto).Params)
}

// TestDamaged reads parts of an object: no prefix of it is taken for a whole one, or breaks
// the reader.
func TestDamaged(t *testing.T) {
	spec, err := abi.LoadShim()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := object.Encode(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	given := answers(spec)
	for n := range whole {
		o, err := object.Decode(whole[:n:n])
		if err != nil {
			continue
		}
		if _, err := o.Programs(given); err == nil {
			t.Fatalf("the first %d of %d bytes are a whole object", n, len(whole))
		}
	}
}
