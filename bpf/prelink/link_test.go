package prelink

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/object"
)

// types are the kernel's, read once for all tests.
var types = btf.NewCache()

func netfilter(t *testing.T) *object.Object {
	t.Helper()
	if _, err := types.Kernel(); err != nil {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	o, err := abi.Netfilter()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// unread fails when the object's file is read.
func unread() (*ebpf.CollectionSpec, error) { return nil, errors.New("read again") }

func TestAnswersAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "linked")
	o := netfilter(t)
	first := Answers(file, o.Sum, abi.LoadNetfilter, types)
	if len(first) == 0 {
		t.Fatal("the object asks nothing")
	}
	if second := Answers(file, o.Sum, unread, nil); !slices.Equal(first, second) {
		t.Error("the file gives other answers than the kernel")
	}
	if _, err := o.Programs(first); err != nil {
		t.Error(err)
	}
	if _, err := o.Programs(first[1:]); err == nil {
		t.Error("too few answers are put in")
	}
	if _, err := o.Programs(append(slices.Clone(first), first[0])); err == nil {
		t.Error("too many answers are put in")
	}
}

// TestOddFiles damages the file in every way; the kernel is asked then.
func TestOddFiles(t *testing.T) {
	o := netfilter(t)
	file := filepath.Join(t.TempDir(), "linked")
	want := Answers(file, o.Sum, abi.LoadNetfilter, types)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	k, ok := keyOf(o.Sum)
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
		if got := Answers(file, o.Sum, abi.LoadNetfilter, types); !slices.Equal(got, want) {
			t.Errorf("%s: other answers", name)
		}
		os.RemoveAll(file)
	}
}

// TestOtherObject asks again for an object that changed, and replaces the file.
func TestOtherObject(t *testing.T) {
	o := netfilter(t)
	file := filepath.Join(t.TempDir(), "linked")
	Answers(file, sha256.Sum256([]byte("older")), abi.LoadNetfilter, types)
	k, _ := keyOf(o.Sum)
	if read(file, k) != nil {
		t.Error("answers for another object are believed")
	}
	Answers(file, o.Sum, abi.LoadNetfilter, types)
	if read(file, k) == nil {
		t.Error("the file was not replaced")
	}
}

// TestNoAnswer gives none where the object cannot be read.
func TestNoAnswer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "linked")
	if got := Answers(file, netfilter(t).Sum, unread, types); got != nil {
		t.Errorf("%d answers", len(got))
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("they are kept")
	}
}
