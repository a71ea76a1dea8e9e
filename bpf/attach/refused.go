package attach

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpftables/bpftables/bpf/object"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// RefusedError says that the kernel's verifier does not take a program.
type RefusedError struct {
	Table  string
	Hook   packet.Hook
	Rule   string // position and text of the rule at which it stopped; "": none
	Reason string // last words of the verifier
	Err    error
}

// Error names the rule and gives the verifier's reason.
func (e *RefusedError) Error() string {
	at := ""
	if e.Rule != "" {
		at = " at rule " + e.Rule
	}
	return fmt.Sprintf("program for %s %s%s: %s", e.Table, e.Hook, at, e.Reason)
}

// Unwrap gives the error of the system call.
func (e *RefusedError) Unwrap() error { return e.Err }

// refused explains a load error of the given instructions. The last line of the
// verifier's log that begins with the number of an instruction tells where it stopped.
func refused(p *codegen.Program, insns asm.Instructions, err error) error {
	var verifier *ebpf.VerifierError
	if !errors.As(err, &verifier) {
		return fmt.Errorf("load program for %s %s: %w", p.Table, p.Hook, err)
	}
	out := &RefusedError{Table: p.Table, Hook: p.Hook, Reason: verifier.Cause.Error(), Err: err}
	for i := len(verifier.Log) - 1; i >= 0; i-- {
		line := strings.TrimSpace(verifier.Log[i])
		if number := instructionNumber().FindStringSubmatch(line); number != nil {
			out.Rule = ruleAt(insns, number[1])
			return out
		}
		if out.Reason == verifier.Cause.Error() && line != "" && !summary(line) {
			out.Reason = line
		}
	}
	return out
}

// instructionNumber finds the number in "17: (61) r3 = *(u32 *)(r9 +0)".
var instructionNumber = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(\d+): \([0-9a-f]{2}\)`) })

// ruleAt is the rule of the instruction with a number: the text of the last instruction
// before it that has one. It is "" in the C part of the datapath.
func ruleAt(insns asm.Instructions, number string) string {
	want, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return ""
	}
	rule := ""
	for iter := insns.Iterate(); iter.Next() && uint64(iter.Offset) <= want; {
		switch source := iter.Ins.Source().(type) {
		case nil:
		case *btf.Line, object.Function:
			rule = ""
		default:
			rule = source.String()
		}
	}
	return rule
}

// summary tells the statistics that end every log.
func summary(line string) bool {
	for _, s := range []string{"processed ", "verification time", "stack depth", "insns_processed"} {
		if strings.HasPrefix(line, s) {
			return true
		}
	}
	return false
}
