// Package testrun is a datapath that attaches nothing: it runs the programs of a plan under
// BPF_PROG_TEST_RUN. In: what the engine gives a datapath. Out: the verdict of a packet that
// it is given. Refused: tables that programs cannot run, as nobody else runs them here.
//
// It is for tests, and shows that the engine asks of a datapath the interface alone.
package testrun

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Kernel is what outlives engines, and processes where the datapath is a real one.
type Kernel struct {
	// Dir is where the states lie.
	Dir string
	// Fail names a step of a family that fails, as "ipv6 install".
	Fail  string
	hosts map[packet.Family]*host
	sets  attach.RunnerSets
}

// host is the generations of one family.
type host struct {
	family    packet.Family
	live      uint32
	installed map[uint32]*programs
	claimed   bool
	mended    int
	lost      []string
}

// programs are those of a generation, by the base chains that they stand for.
type programs struct {
	runners []*attach.Runner // by hook, in the order in which packets meet them
	users   int
}

// Open opens the datapath of a family.
func (k *Kernel) Open(family packet.Family) (datapath.Datapath, error) {
	if k.hosts == nil {
		k.hosts = map[packet.Family]*host{}
	}
	if k.hosts[family] == nil {
		k.hosts[family] = &host{family: family, installed: map[uint32]*programs{}}
	}
	return &Datapath{kernel: k, host: k.hosts[family]}, nil
}

// Close removes everything.
func (k *Kernel) Close() error {
	var errs []error
	for _, h := range k.hosts {
		for number := range h.installed {
			errs = append(errs, h.remove(number))
		}
	}
	return errors.Join(append(errs, k.keepSets())...)
}

// keepSets removes the sets that no generation has.
func (k *Kernel) keepSets() error {
	var all []*attach.Runner
	for _, h := range k.hosts {
		for _, p := range h.installed {
			all = append(all, p.runners...)
		}
	}
	return k.sets.Keep(all)
}

// Lose makes something of what is enforced lost, until it is mended; Mended is how often
// that was done.
func (k *Kernel) Lose(family packet.Family, what string) {
	k.hosts[family].lost = append(k.hosts[family].lost, what)
}

// Mended is how often something that was lost was put back.
func (k *Kernel) Mended(family packet.Family) int { return k.hosts[family].mended }

// Generations are the numbers of what is installed.
func (k *Kernel) Generations(family packet.Family) (out []uint32) {
	for number := range k.hosts[family].installed {
		out = append(out, number)
	}
	slices.Sort(out)
	return out
}

// failing is the error of a step that is to fail.
func (k *Kernel) failing(family packet.Family, step string) error {
	if k.Fail == family.String()+" "+step {
		return fmt.Errorf("%s fails", k.Fail)
	}
	return nil
}

// Accepts says what the rules that are enforced make of a packet at its hook.
func (k *Kernel) Accepts(f *packet.Facts) (bool, error) {
	h := k.hosts[f.Family]
	if h.live == 0 {
		return true, nil
	}
	for _, r := range h.installed[h.live].runners {
		if r.Hook() != f.Hook {
			continue
		}
		outcome, err := r.Run(f)
		if err != nil {
			return false, err
		}
		switch outcome.Verdict {
		case abi.Accept:
		case abi.Drop, abi.Hotdrop:
			return false, nil
		default:
			return false, fmt.Errorf("verdict %d", outcome.Verdict)
		}
	}
	return true, nil
}

func (h *host) remove(number uint32) error {
	p := h.installed[number]
	delete(h.installed, number)
	return p.release()
}

func (p *programs) release() error {
	if p.users--; p.users > 0 {
		return nil
	}
	var errs []error
	for _, r := range p.runners {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

func (k *Kernel) dir(family packet.Family) string { return filepath.Join(k.Dir, family.String()) }

func (k *Kernel) makeDir(family packet.Family) error { return os.MkdirAll(k.dir(family), 0o700) }
