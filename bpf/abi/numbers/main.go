// Command numbers writes the numbers that C takes from Go: it prints bpf/facts/numbers.h.
//
// In: the constants of ruleset/pred and translate/plan. Out: C enums of the same numbers, by
// go generate in bpf/abi. Layouts go the other way: bpf2go gives Go what C says.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

func main() {
	if _, err := os.Stdout.WriteString(header()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// number is an enumerator.
type number struct {
	name  string
	value int
}

// header is the file.
func header() string {
	var b strings.Builder
	b.WriteString(`/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Numbers that Go declares (ruleset/pred, translate/plan). Generated: make generate. */
#ifndef BPFTABLES_NUMBERS_H
#define BPFTABLES_NUMBERS_H
`)
	write(&b, "field", list("FIELD_", pred.NumFields, "NUM_FIELDS"))
	write(&b, "addr_field", list("ADDR_", pred.NumAddrs, "NUM_ADDRS"))
	write(&b, "name_field", list("NAME_", pred.NumNames, "NUM_NAMES"))
	write(&b, "recent_op", list("RECENT_", pred.NumRecentOps, ""))
	write(&b, "plan_number", []number{
		{"NOTE_ACTIONS", plan.MaxNotes},               // actions in the note of a packet
		{"NOTE_REPEATS", plan.NoteRepeats},            // in place of an action: the one before, so many times more
		{"NOTE_RUNS", plan.MaxRuns},                   // how many actions are run for a packet
		{"NOTE_ONCE", plan.NoteOnce},                  // with the number of an action
		{"CLASS_DEPTH", plan.ClassDepth},              // how deep classified chains may call each other
		{"DEMANDS_OPTIONS", int(pred.DemandsOptions)}, // what an effect asks of a packet
		{"DEMANDS_HEADER", int(pred.DemandsHeader)},
		{"DEMANDS_SOURCE", int(pred.DemandsSource)},
		{"DEMANDS_DEST", int(pred.DemandsDest)},
		{"DEMANDS_HANDSHAKE", int(pred.DemandsHandshake)},
		{"SET_PARTS", pred.MaxKeyParts},   // of the key of a named set
		{"SET_WORDS", pred.MaxKeyLen / 4}, // in the longest key
	})
	b.WriteString("\n#endif\n")
	return b.String()
}

// list numbers what lies below an end, by its texts, and the end itself under another name.
func list[T interface {
	~uint8
	fmt.Stringer
}](prefix string, end T, endName string) (out []number) {
	spell := strings.NewReplacer(".", "_", "-", "_")
	for v := range end {
		out = append(out, number{prefix + strings.ToUpper(spell.Replace(v.String())), int(v)})
	}
	if endName != "" {
		out = append(out, number{endName, int(end)})
	}
	return out
}

func write(b *strings.Builder, enum string, numbers []number) {
	fmt.Fprintf(b, "\nenum %s {\n", enum)
	for _, n := range numbers {
		fmt.Fprintf(b, "\t%s = %d,\n", n.name, n.value)
	}
	b.WriteString("};\n")
}
