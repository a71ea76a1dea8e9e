package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/bpftables/bpftables/bpf/probe"
	"github.com/bpftables/bpftables/compat/whole"
)

// Dir is where is kept what must outlive a boot.
const Dir = "/var/lib/bpftables"

// recordFile says what was there before us.
const recordFile = Dir + "/compat.json"

// record is what was there before us.
type record struct {
	Dialect string    `json:"dialect"`
	Program string    `json:"program"` // ours
	Names   []*before `json:"names"`
	// Enforcing has the spaces in which rules were enforced when a command of an administrator has last
	// looked, and the boot of the kernel in which that was.
	Enforcing map[string]string `json:"enforcing,omitempty"`
}

// before is what the names of one command were.
type before struct {
	Name   string `json:"name"`
	Manual bool   `json:"manual,omitempty"` // the administrator had chosen
	Value  string `json:"value,omitempty"`  // the alternative, or ""
	Files  []file `json:"files,omitempty"`  // that are moved aside
}

// file is a name that is a file, not an alternative.
type file struct {
	Path  string `json:"path"`
	Aside string `json:"aside,omitempty"` // where it is now; "": there was none
	Dpkg  bool   `json:"dpkg,omitempty"`  // dpkg knows that it is aside
}

// recall reads the record; an empty one if there is none.
func recall() (*record, error) {
	r := &record{}
	data, err := os.ReadFile(recordFile)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, r)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: what the names of iptables stood for: %w; remove the file, then they are given to what the host has", recordFile, err)
	}
	return r, nil
}

// of is what the names of a command were; it is empty if nothing is known.
func (r *record) of(name string) *before {
	i := slices.IndexFunc(r.Names, func(b *before) bool { return b.Name == name })
	if i >= 0 {
		return r.Names[i]
	}
	b := &before{Name: name}
	r.Names = append(r.Names, b)
	return b
}

// remember writes down what the names stand for, before anything is changed.
func (h *Host) remember(holders []named, dialect string) error {
	for _, k := range holders {
		if err := k.was(h.record.of(k.name)); err != nil {
			return err
		}
	}
	h.record.Dialect, h.record.Program = dialect, h.Program
	data, err := h.record.text()
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(recordFile); err == nil && string(have) == string(data) {
		return nil
	}
	return h.do(func() error { return whole.Write(recordFile, data, 0o644) }, "remember what the names stand for now (%s)", recordFile)
}

// text is the record as it is stored.
func (r *record) text() ([]byte, error) {
	data, err := json.MarshalIndent(r, "", "\t")
	return append(data, '\n'), err
}

// Enforces notes whether rules are enforced in a space (a family in a network namespace), where the plain names are
// ours: what is gone later without a command that removes it was lost.
func Enforces(space string, now bool) error {
	h := &Host{}
	if err := h.alone(); err != nil {
		return err
	}
	defer h.lock.Close()
	r := h.record
	if r.Program == "" || r.enforcing(space) == now {
		return nil
	}
	maps.DeleteFunc(r.Enforcing, func(_, boot string) bool { return boot != probe.Boot() })
	if delete(r.Enforcing, space); now {
		if r.Enforcing == nil {
			r.Enforcing = map[string]string{}
		}
		r.Enforcing[space] = probe.Boot()
	}
	data, err := r.text()
	if err != nil {
		return err
	}
	return whole.Write(recordFile, data, 0o644)
}

func (r *record) enforcing(space string) bool {
	boot := r.Enforcing[space]
	return boot != "" && boot == probe.Boot()
}

// WasEnforcing says whether rules were enforced in a space in this boot when a command has last said so.
func WasEnforcing(space string) (bool, error) {
	r, err := recall()
	return err == nil && r.enforcing(space), err
}
