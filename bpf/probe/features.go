package probe

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// Feature is something that the datapath needs or uses.
type Feature struct {
	Name  string `json:"name"`
	Since string `json:"since"` // the first Linux version that has it
	Have  bool   `json:"have"`
	Why   string `json:"why,omitempty"` // Have is false: what the kernel said
	err   error
}

// Answer is the state of the feature as one phrase.
func (f Feature) Answer() string {
	if f.Have {
		return "yes"
	}
	if errors.Is(f.err, ErrRights) {
		return "cannot be asked: " + f.Why
	}
	return fmt.Sprintf("no (needs Linux %s, this is %s): %s", f.Since, Release(), f.Why)
}

// need is the feature with its verb.
func (f Feature) need() string {
	if f.Name == netfilterPrograms {
		return f.Name + " need"
	}
	return f.Name + " needs"
}

// Release is the version of the running kernel.
func Release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// known holds the features once all of them are there: a kernel does not lose any, and
// asking takes long.
var known atomic.Pointer[[]Feature]

// Features asks the kernel for everything that the datapath relies on.
func Features() []Feature {
	if all := known.Load(); all != nil {
		return slices.Clone(*all)
	}
	all := askAll()
	if !slices.ContainsFunc(all, func(f Feature) bool { return !f.Have }) {
		kept := slices.Clone(all)
		known.Store(&kept)
	}
	return all
}

func askAll() []Feature {
	return []Feature{
		ask("BTF", "5.4", func() error { _, err := btf.LoadKernelSpec(); return err }),
		ask(netfilterPrograms, "6.4", func() error { return features.HaveProgramType(ebpf.Netfilter) }),
		ask("dynptr from skb", "6.4", func() error { return haveFunc("bpf_dynptr_from_skb") }),
		ask("cast to kernel types", "6.2", func() error { return haveFunc("bpf_rdonly_cast") }),
		ask("bpf_loop", "5.17", func() error { return features.HaveProgramHelper(ebpf.SocketFilter, asm.FnLoop) }),
		ask(loops, "6.9", haveLoops),
		ask("conntrack", "5.18", func() error { return haveType("nf_conn") }),
	}
}

// Missing gives an error that names the features without which nothing can be
// enforced; nil when all are there.
func Missing() error {
	var errs []error
	for _, f := range Features() {
		if !f.Have && f.Name != "conntrack" && f.Name != loops {
			errs = append(errs, fmt.Errorf("%s Linux %s, this is %s; use netfilter's own iptables here", f.need(), f.Since, Release()))
		}
	}
	return errors.Join(errs...)
}

// loops is what classified chains need, netfilterPrograms what everything does.
const (
	loops             = "loops (may_goto)"
	netfilterPrograms = "netfilter programs"
)

// Loops says whether the kernel runs classified chains; without that, all rules have to
// be code.
func Loops() bool {
	if !runsLoops.Load() {
		runsLoops.Store(haveLoops() == nil)
	}
	return runsLoops.Load()
}

// runsLoops is set once the kernel is known to.
var runsLoops atomic.Bool

// mayGoto is JCOND of the kernel's instruction set: a jump that is taken when the budget
// for loops is used up (kernel/bpf/verifier.c).
const mayGoto = asm.OpCode(0xe5)

func haveLoops() error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, 0), {OpCode: mayGoto, Offset: 1}, asm.Mov.Imm(asm.R0, 1), asm.Return(),
		},
	})
	if err != nil {
		return err
	}
	return prog.Close()
}

func ask(name, since string, have func() error) Feature {
	err := have()
	f := Feature{Name: name, Since: since, Have: err == nil}
	if err != nil {
		f.err = Refused(err)
		f.Why = f.err.Error()
	}
	return f
}

func haveFunc(name string) error {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return err
	}
	var f *btf.Func
	return spec.TypeByName(name, &f)
}

func haveType(name string) error {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return err
	}
	var s *btf.Struct
	return spec.TypeByName(name, &s)
}
