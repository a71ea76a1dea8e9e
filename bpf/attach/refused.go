package attach

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// RefusedError says that the kernel's verifier does not take a program.
type RefusedError struct {
	Table  string
	Hook   packet.Hook
	Rule   string // position and text of the rule at which it stopped; may be empty
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

// refused explains a load error. The verifier prints the source of an instruction
// as a line "; text" before it; the last one is where it stopped.
func refused(p *codegen.Program, err error) error {
	var verifier *ebpf.VerifierError
	if !errors.As(err, &verifier) {
		return fmt.Errorf("load program for %s %s: %w", p.Table, p.Hook, err)
	}
	out := &RefusedError{Table: p.Table, Hook: p.Hook, Reason: verifier.Cause.Error(), Err: err}
	for i := len(verifier.Log) - 1; i >= 0 && out.Rule == ""; i-- {
		line := strings.TrimSpace(verifier.Log[i])
		if text, ok := strings.CutPrefix(line, "; "); ok {
			out.Rule, _, _ = strings.Cut(text, " @ ")
		} else if out.Reason == verifier.Cause.Error() && line != "" && !summary(line) {
			out.Reason = line
		}
	}
	return out
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
