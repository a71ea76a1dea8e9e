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
}

// Answer is the state of the feature as one phrase.
func (f Feature) Answer() string {
	if f.Have {
		return "yes"
	}
	return fmt.Sprintf("no (needs Linux %s, this is %s): %s", f.Since, Release(), f.Why)
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
		ask("netfilter programs", "6.4", func() error { return features.HaveProgramType(ebpf.Netfilter) }),
		ask("dynptr from skb", "6.4", func() error { return haveFunc("bpf_dynptr_from_skb") }),
		ask("cast to kernel types", "6.2", func() error { return haveFunc("bpf_rdonly_cast") }),
		ask("bpf_loop", "5.17", func() error { return features.HaveProgramHelper(ebpf.SocketFilter, asm.FnLoop) }),
		ask("conntrack", "5.18", func() error { return haveType("nf_conn") }),
	}
}

// Missing gives an error that names the features without which nothing can be
// enforced; nil when all are there.
func Missing() error {
	var errs []error
	for _, f := range Features() {
		if !f.Have && f.Name != "conntrack" {
			errs = append(errs, fmt.Errorf("%s needs Linux %s, this is %s; use netfilter's own iptables here", f.Name, f.Since, Release()))
		}
	}
	return errors.Join(errs...)
}

func ask(name, since string, have func() error) Feature {
	err := have()
	f := Feature{Name: name, Since: since, Have: err == nil}
	if err != nil {
		f.Why = err.Error()
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
