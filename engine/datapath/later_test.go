package datapath_test

import (
	"encoding/json"
	"testing"

	"github.com/bpftables/bpftables/engine/datapath"
)

// TestLater: a part goes through a file as it was, whether somebody read it or not.
func TestLater(t *testing.T) {
	type record struct {
		Part datapath.Later[[]int] `json:"part,omitzero"`
	}
	for _, text := range []string{`{}`, `{"part":[1,2]}`} {
		var r record
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			data, err := json.Marshal(r)
			if err != nil || string(data) != text {
				t.Errorf("%s (%v), want %s", data, err, text)
			}
			if all, err := r.Part.Get(); err != nil || len(all) == 0 != r.Part.IsZero() {
				t.Errorf("%s: %v (%v)", text, all, err)
			}
		}
	}
	var r record
	if err := json.Unmarshal([]byte(`{"part":"no"}`), &r); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Part.Get(); err == nil {
		t.Error("what is no list is one")
	}
	if data, err := json.Marshal(record{datapath.Now([]int{3})}); err != nil || string(data) != `{"part":[3]}` {
		t.Errorf("%s (%v)", data, err)
	}
}
