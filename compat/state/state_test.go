package state

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
)

func TestWriteReadRemove(t *testing.T) {
	dir := t.TempDir()
	want := &State{Family: packet.IPv6, Generation: 3, Previous: 2, Text: "*filter\nCOMMIT\n",
		Tables: []Table{{Name: "filter", InBPF: true, Chains: []Chain{{Name: "INPUT", Policy: Cell{Slot: 4},
			Rules: []Cell{{Slot: None, From: &Place{"filter", "INPUT", None}}}}}}}}
	for _, gen := range []uint32{2, 3, 4} {
		s := *want
		s.Generation = gen
		if err := Write(dir, &s); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(dir, 3)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v", got, err)
	}
	// What a killed Write leaves is found, too.
	if err := os.WriteFile(filepath.Join(dir, "state-9.json.new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if others, err := Others(dir, 3); err != nil || len(others) != 3 {
		t.Errorf("others %v, %v", others, err)
	}
	if err := Remove(dir, 3); err != nil {
		t.Fatal(err)
	}
	if others, err := Others(dir, 3); err != nil || len(others) != 0 {
		t.Errorf("left: %v, %v", others, err)
	}
	if s, err := Read(dir, 2); s != nil || err != nil {
		t.Errorf("removed state: %v, %v", s, err)
	}
}

func TestReadBroken(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(path(dir, 1), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, 1); err == nil {
		t.Error("a broken state was read")
	}
}
