package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/thread"
	"github.com/bpftables/bpftables/compat/lock"
	"github.com/bpftables/bpftables/compat/theirs"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/serve/client"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// migrateCmd is "bpftables migrate": what another version has made, and this one cannot read, is made anew.
type migrateCmd struct {
	waitFlag
	Program string `arg:"" help:"The program of that version."`
}

// Help is the long help.
func (migrateCmd) Help() string {
	return `Example:
  bpftables migrate /var/lib/bpftables/previous

Packages do this after an upgrade. In all network namespaces, rules that the other version has made
and this one cannot read are printed by that version, with their counters, and enforced by
this one, which replaces them in one step. Rules that can be read stay as they are.`
}

// Run migrates the rules of all network namespaces.
func (c *migrateCmd) Run(s *streams) error {
	l, err := lock.Acquire(c.duration(), s.caller)
	if err != nil {
		return err
	}
	defer l.Release()
	all, err := attach.Occupied()
	if err != nil {
		return err
	}
	var errs []error
	for _, netns := range all {
		ns, err := attach.Find(netns)
		if err != nil || ns == nil { // nobody is there any more
			errs = append(errs, err)
			continue
		}
		err = thread.Within(ns, func() error {
			return errors.Join(s.migrate(packet.IPv4, c.Program), s.migrate(packet.IPv6, c.Program))
		})
		if err != nil {
			err = fmt.Errorf("network namespace %s: %w", netns, err)
		}
		errs = append(errs, err, ns.Close())
	}
	return errors.Join(errs...)
}

// migrate makes the rules of a family anew, if they cannot be read.
func (s *streams) migrate(family packet.Family, program string) error {
	return s.withEngine(family, func(e *apply.Engine) error { return s.makeAnew(e, program) })
}

func (s *streams) makeAnew(e *apply.Engine, program string) error {
	if _, err := e.Held(); !errors.Is(err, datapath.ErrLost) {
		return err
	}
	text, early, err := s.printedBy(program, e)
	if err != nil {
		return fmt.Errorf("%s: the rules cannot be read by this version, nor by %s: %w", e.Family(), program, err)
	}
	req := &apply.Request{Text: strings.NewReader(text), File: program + " save", Counters: true, Early: early, Output: io.Discard}
	if err := e.Restore(req); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: the rules of the version before are made anew\n", e.Family())
	return nil
}

// printedBy lets another version print its rules with counters, and say where they are dropped early.
// Tables that only netfilter's tools hold are left out.
func (s *streams) printedBy(program string, e *apply.Engine) (text, early string, err error) {
	args := []string{"save", "-c"}
	if e.Family() == packet.IPv6 {
		args = append(args, "-6")
	}
	saved, err := s.printed(program, args...)
	if err != nil {
		return "", "", err
	}
	held, err := s.heldByTools(e)
	if err != nil {
		return "", "", err
	}
	// It does not know how the other family is enforced that was made anew before.
	var r report
	if state, err := s.printed(program, "status", "--json"); err == nil && json.Unmarshal(state, &r) == nil {
		for _, st := range r.Families {
			if st != nil && st.Early != nil && st.Family == e.Family().String() {
				early = st.Early.Mode
			}
		}
	}
	return leftOut(string(saved), held), early, nil
}

// heldByTools are the tables that netfilter's tools hold, as they would be printed.
func (s *streams) heldByTools(e *apply.Engine) (map[string]string, error) {
	n := theirs.Open(e.Family(), e.Pins(), s.caller.Env)
	all, err := n.All()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, h := range all {
		text, err := n.Text(h)
		if err != nil {
			continue // it was not printed
		}
		rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{
			File: h.Tool() + "-save", Family: e.Family(), Resolver: s.caller.Resolver(), Counters: true,
		})
		var printed strings.Builder
		if err == nil && iptables.Print(&printed, rs, iptables.PrintOptions{}) == nil {
			out[h.Table] = bare(printed.String())
		}
	}
	return out, nil
}

// leftOut leaves tables out of a text that netfilter's tools hold with the same rules: they are enforced there,
// whoever else did.
func leftOut(text string, held map[string]string) string {
	var out strings.Builder
	for _, part := range strings.SplitAfter(text, "COMMIT\n") {
		table := ""
		for line := range strings.Lines(part) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "*"); ok {
				table = name
			}
		}
		if theirs, ok := held[table]; !ok || theirs != bare(part) {
			out.WriteString(part)
		}
	}
	return out.String()
}

// counts are the counters of a text.
var counts = regexp.MustCompile(`(?m)^\[\d+:\d+\] | \[\d+:\d+\]$`)

// bare is the text of a table without counters and comments.
func bare(text string) string {
	var out strings.Builder
	for line := range strings.Lines(counts.ReplaceAllString(text, "")) {
		if !strings.HasPrefix(line, "#") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// printed runs a program in the namespace of the thread, and gives what it prints.
func (s *streams) printed(program string, args ...string) ([]byte, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(append([]string{}, s.caller.Env...), client.NoServeEnv+"=1")
	var out, says bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &says
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(says.String()))
	}
	return out.Bytes(), nil
}
