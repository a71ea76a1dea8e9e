package prelink

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpftables/bpftables/bpf/abi"
)

// types are the kernel's, read once for all tests.
var types = btf.NewCache()

func parsed(t *testing.T) *ebpf.CollectionSpec {
	t.Helper()
	if _, err := types.Kernel(); err != nil {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	spec, err := abi.LoadNetfilter()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// raw is what is loaded of all programs.
func raw(spec *ebpf.CollectionSpec) (out []answer) {
	for _, p := range programs(spec) {
		for _, ins := range p.Instructions {
			out = append(out, answer{uint32(ins.OpCode), uint8(ins.Dst), uint8(ins.Src), ins.Offset, ins.Constant})
		}
	}
	return out
}

func waiting(spec *ebpf.CollectionSpec) (n int) {
	for _, p := range programs(spec) {
		for i := range p.Instructions {
			if open(&p.Instructions[i]) {
				n++
			}
		}
	}
	return n
}

func TestAnswersAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "linked")
	first, second := parsed(t), parsed(t)
	if waiting(first) == 0 {
		t.Fatal("the object asks nothing")
	}
	Object(first, file, abi.NetfilterObject(), types)
	if n := waiting(first); n != 0 {
		t.Fatalf("%d instructions still wait", n)
	}
	// Without types, everything must come from the file.
	Object(second, file, abi.NetfilterObject(), nil)
	if !reflect.DeepEqual(raw(first), raw(second)) {
		t.Error("the file gives other instructions than the kernel")
	}
	for i, p := range programs(first) {
		q := programs(parsed(t))[i]
		for j := range p.Instructions {
			is, was := &p.Instructions[j], &q.Instructions[j]
			if is.Symbol() != was.Symbol() || (btf.FuncMetadata(is) == nil) != (btf.FuncMetadata(was) == nil) || (is.Source() == nil) != (was.Source() == nil) {
				t.Errorf("%s: instruction %d lost its name, type or source", p.Name, j)
			}
		}
	}
}

// TestOddFiles damages the file in every way; the kernel is asked then.
func TestOddFiles(t *testing.T) {
	want := parsed(t)
	file := filepath.Join(t.TempDir(), "linked")
	Object(want, file, abi.NetfilterObject(), types)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	k, ok := keyOf(abi.NetfilterObject())
	if !ok || len(read(file, k)) == 0 {
		t.Fatal("the file is not read")
	}
	put := func(data []byte) {
		os.Remove(file)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flipped := func(at int) []byte {
		out := append([]byte{}, good...)
		out[at] ^= 1
		return out
	}
	for name, damage := range map[string]func(){
		"missing":   func() { os.Remove(file) },
		"empty":     func() { put(nil) },
		"cut":       func() { put(good[:len(good)-16]) },
		"longer":    func() { put(append(append([]byte{}, good...), make([]byte, 16)...)) },
		"key":       func() { put(flipped(0)) },
		"body":      func() { put(flipped(40)) },
		"sum":       func() { put(flipped(len(good) - 1)) },
		"readable":  func() { put(good); os.Chmod(file, 0o644) },
		"link":      func() { put(good); os.Rename(file, file+".real"); os.Symlink(file+".real", file) },
		"directory": func() { os.Remove(file); os.Mkdir(file, 0o600) },
	} {
		damage()
		if got := read(file, k); got != nil {
			t.Errorf("%s: the file is believed", name)
		}
		spec := parsed(t)
		Object(spec, file, abi.NetfilterObject(), types)
		if !reflect.DeepEqual(raw(spec), raw(want)) {
			t.Errorf("%s: other instructions", name)
		}
		os.RemoveAll(file)
	}
}

// TestOtherObject asks again for an object that changed, and replaces the file.
func TestOtherObject(t *testing.T) {
	file := filepath.Join(t.TempDir(), "linked")
	Object(parsed(t), file, []byte("older"), types)
	k, _ := keyOf(abi.NetfilterObject())
	if read(file, k) != nil {
		t.Error("answers for another object are believed")
	}
	Object(parsed(t), file, abi.NetfilterObject(), types)
	if read(file, k) == nil {
		t.Error("the file was not replaced")
	}
	if link(parsed(t), read(file, k)[1:]) == nil {
		t.Error("too few answers are put in")
	}
}
