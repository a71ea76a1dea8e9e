package conformance_test

import (
	"testing"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/translate"
)

// The translator proves that no packet asks for more actions than a note holds.
func TestNotesHoldWhatIsProven(t *testing.T) {
	if n := len(abi.Note{}.Action); n != translate.MaxNotes {
		t.Errorf("a note holds %d actions, the translator allows %d", n, translate.MaxNotes)
	}
}
