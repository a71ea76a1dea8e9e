// Package state keeps on disk what a generation was made from, so that any process
// can print the ruleset with live counters, or change it.
//
// In: the ruleset and where its counters are. Out: the same, read back. A state
// belongs to one generation and is written before that generation goes live: the
// live generation's number, which the datapath holds, tells which state counts.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate/plan"
)

// None as a slot or origin: there is none.
const None = -1

// State is one family's generation. Text is iptables-save text of all tables, in
// creation order reversed as iptables-save prints them, with the counters that the
// rules had when the generation began.
type State struct {
	Family     packet.Family
	Generation uint32
	Previous   uint32 // the generation before; 0: none
	Tables     []Table
	Text       string
	Conntrack  bool
	Early      string `json:",omitempty"` // mode of the early stage, as restore takes it
	EarlyOff   string `json:",omitempty"` // why the generation has none
	// Carried says that the last counters of the previous generation were added to
	// the counters in Text. Until then they are part of the live value.
	Carried bool
}

// Table says where a table of Text runs, chain by chain in the order of Text.
type Table struct {
	Name   string
	InBPF  bool
	Notes  []plan.Note `json:",omitempty"`
	Shims  int         // rules that netfilter runs for the table
	Chains []Chain
}

// Chain has a cell for the policy (of a built-in chain) and one for each rule.
type Chain struct {
	Name   string
	Policy Cell
	Rules  []Cell
}

// Cell says where the live counters of a rule or policy are.
type Cell struct {
	// Slot is the number in the counters map, None for a table left to netfilter:
	// its counters are found by place.
	Slot int
	// From is the place of the same rule in the previous generation, whose last
	// counts go on here; nil: it is new.
	From *Place `json:",omitempty"`
}

// Place is a rule of a state: table, chain, and number counting from 0, or None
// for the policy.
type Place struct {
	Table, Chain string
	Rule         int
}

// path is the file of a generation.
func path(dir string, gen uint32) string {
	return filepath.Join(dir, fmt.Sprintf("state-%d.json", gen))
}

// Write stores a state in a directory, in one step.
func Write(dir string, s *State) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	tmp := path(dir, s.Generation) + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := os.Rename(tmp, path(dir, s.Generation)); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

// Read loads the state of a generation; nil when there is none.
func Read(dir string, gen uint32) (*State, error) {
	data, err := os.ReadFile(path(dir, gen))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	s := &State{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("state %s: %w; remove it with 'bpftables flush --all'", path(dir, gen), err)
	}
	return s, nil
}

// Others are the generations other than keep that have a state. A state is written
// before anything else of its generation is made and removed after all of it: where
// there is none, nothing is left of a generation.
func Others(dir string, keep uint32) ([]uint32, error) {
	files, err := filepath.Glob(filepath.Join(dir, "state-*.json*"))
	if err != nil {
		return nil, err
	}
	var out []uint32
	for _, f := range files {
		digits, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(f), "state-"), ".")
		n, err := strconv.ParseUint(digits, 10, 32)
		if err == nil && uint32(n) != keep {
			out = append(out, uint32(n))
		}
	}
	return out, nil
}

// Remove deletes all states of a directory but that of one generation.
func Remove(dir string, keep uint32) error {
	others, err := Others(dir, keep)
	if err != nil {
		return err
	}
	var errs []error
	for _, gen := range others {
		for _, suffix := range []string{"", ".new"} {
			if err := os.Remove(path(dir, gen) + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
