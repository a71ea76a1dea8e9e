package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/bpftables/bpftables/ruleset/pred"
)

// TestGenerated fails when the numbers of C are not those of Go.
func TestGenerated(t *testing.T) {
	have, err := os.ReadFile("../../facts/numbers.h")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != header() {
		t.Error("bpf/facts/numbers.h is out of date; run 'make generate' and commit")
	}
}

// TestEveryFieldIsRead fails when the datapath has no way to read a field: those that
// struct facts does not hold are read by get_field().
func TestEveryFieldIsRead(t *testing.T) {
	source, err := os.ReadFile("../../facts/fields.h")
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range list("FIELD_", pred.NumFields, "") {
		read := regexp.MustCompile(`case ` + n.name + `:`).Match(source)
		if inFacts := pred.Field(i).InFacts(); read == inFacts {
			t.Errorf("%s: held in struct facts: %t, read by bpf/facts/fields.h: %t", n.name, inFacts, read)
		}
	}
}
