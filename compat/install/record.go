package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

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
	// Enforcing has the families of which rules were enforced when a command of an administrator has last
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
func (h *Host) remember(holders map[string]holder, dialect string) error {
	for _, name := range h.order(holders) {
		if err := holders[name].was(h.record.of(name)); err != nil {
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

// boot names this boot of the kernel (random(4)).
func boot() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// Enforcing says of which families rules are enforced now, where the plain names are ours: what is gone later
// without a command that removes it was lost.
func Enforcing(families ...string) error {
	r, err := recall()
	if err != nil || r.Program == "" {
		return err
	}
	was := r.Enforcing
	r.Enforcing = map[string]string{}
	for _, f := range families {
		r.Enforcing[f] = boot()
	}
	if maps.Equal(was, r.Enforcing) {
		return nil
	}
	data, err := r.text()
	if err != nil {
		return err
	}
	return whole.Write(recordFile, data, 0o644)
}

// WasEnforcing says whether rules of a family were enforced in this boot when a command has last said so.
func WasEnforcing(family string) (bool, error) {
	r, err := recall()
	return err == nil && r.Enforcing[family] != "" && r.Enforcing[family] == boot(), err
}
