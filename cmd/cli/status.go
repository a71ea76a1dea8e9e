package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/bpf/probe"
	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/compat/install"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
)

// statusCmd is "bpftables status".
type statusCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help is the long help.
func (statusCmd) Help() string {
	return `Example:
  bpftables status

Per family and table: in BPF or left to netfilter, with the line and the reason;
the generation, what it takes in the kernel, and what this kernel offers. Rules of
iptables-legacy and iptables-nft in the same namespace are counted.`
}

// report is the whole status.
type report struct {
	Families []*apply.Status `json:"families"`
	Beside   []besideReport  `json:"beside"`
	Names    *install.Names  `json:"names,omitempty"`
	Features []probe.Feature `json:"features"`
}

// besideReport is a table that a tool of netfilter's holds.
type besideReport struct {
	Tool   string   `json:"tool"`
	Table  string   `json:"table"`
	Rules  int      `json:"rules"`
	Chains int      `json:"chains"`
	Drops  []string `json:"drops,omitempty"`
	Both   bool     `json:"both"` // we hold rules there, too
	line   string
}

// Run prints the status.
func (c *statusCmd) Run(s *streams) error {
	r := report{Beside: []besideReport{}, Features: probe.Features()}
	for _, family := range bothOf {
		err := s.withEngine(family, func(e *apply.Engine) error {
			st, err := e.Status()
			r.Families = append(r.Families, st)
			if err != nil {
				return err
			}
			b, err := beside.Look(e, s.caller, "")
			for _, h := range b.Held {
				r.Beside = append(r.Beside, besideReport{h.Tool(), h.Table, h.Rules, h.Chains, h.Drops, b.Both(h), h.String()})
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	var unknown error
	if r.Names, unknown = install.Now(); unknown != nil {
		fmt.Fprintln(s.err, "bpftables: warning:", unknown)
	}
	if c.JSON {
		return writeJSON(s.out, r)
	}
	for _, st := range r.Families {
		printStatus(s.out, st)
	}
	for _, h := range r.Beside {
		how := "its own"
		if h.Both {
			how = "beside those of bpftables"
		}
		fmt.Fprintf(s.out, "%s, %s\n", h.line, how)
	}
	printNames(s.out, r.Names)
	fmt.Fprintln(s.out, "kernel")
	for _, f := range r.Features {
		fmt.Fprintf(s.out, "  %-22s %s\n", f.Name, f.Answer())
	}
	return nil
}

func printStatus(w io.Writer, st *apply.Status) {
	if st.Lost != "" {
		fmt.Fprintf(w, "%s: %s\n", st.Family, st.Lost)
		return
	}
	if st.Generation == 0 {
		fmt.Fprintf(w, "%s: nothing of ours is enforced\n", st.Family)
		return
	}
	fmt.Fprintf(w, "%s: generation %d, %d programs (%d instructions), %d maps, %d KiB\n", st.Family,
		st.Generation, st.Usage.Programs, st.Usage.Instructions, st.Usage.Maps, st.Usage.Bytes/1024)
	fmt.Fprintf(w, "  hooks: %s\n", strings.Join(st.Usage.Hooks, " "))
	for _, t := range st.Tables {
		fmt.Fprintf(w, "  %-9s %-9s %5d rules", t.Name, t.Where, t.Rules)
		if t.Shims > 0 {
			fmt.Fprintf(w, ", %d shim rules", t.Shims)
		}
		if t.Where == "netfilter" && len(t.Reasons) == 0 {
			fmt.Fprint(w, ": the table changes packets")
		}
		if t.Held == datapath.HeldUnchanged {
			fmt.Fprint(w, "; netfilter's part is unchanged")
		}
		fmt.Fprintln(w)
		if t.Held == datapath.HeldLost {
			fmt.Fprintln(w, "    netfilter's part of table "+t.Name+" was removed or changed by another program: "+lostAdvice)
		}
		for _, n := range t.Reasons {
			fmt.Fprintf(w, "    %s\n", n)
		}
	}
	printOrder(w, st)
	if st.ConntrackLost {
		fmt.Fprintln(w, "  conntrack was switched off by another program: "+lostAdvice)
	}
	printEarly(w, st.Early)
}

// printOrder says in which order packets meet the rules, where iptables is not their only owner,
// and which sets there are.
func printOrder(w io.Writer, st *apply.Status) {
	if slices.ContainsFunc(st.Order, func(b apply.BaseStatus) bool { return b.Owner != tables.Owner }) {
		fmt.Fprint(w, "  in the order in which packets meet them, by priority:")
		hook, between := "", ""
		for _, b := range st.Order {
			if between = ", "; b.Hook != hook {
				hook, between = b.Hook, "\n    "+b.Hook+": "
			}
			fmt.Fprint(w, between, b)
		}
		fmt.Fprintln(w)
	}
	for _, s := range st.Sets {
		if s.Elements == nil {
			fmt.Fprintf(w, "  set %s of %s: up to %d elements\n", s.Name, s.Owner, s.Size)
			continue
		}
		fmt.Fprintf(w, "  set %s of %s: %d elements, up to %d\n", s.Name, s.Owner, *s.Elements, s.Size)
	}
}

// printNames says what the names of iptables' programs stand for, where they were made ours.
func printNames(w io.Writer, n *install.Names) {
	if n == nil {
		return
	}
	fmt.Fprintf(w, "names: iptables and the others stand for %s, and speak as iptables-%s does\n", n.Program, n.Dialect)
	if len(n.Others) > 0 {
		fmt.Fprintf(w, "  but not %s: another program has put it there; run 'bpftables install-compat' again\n", strings.Join(n.Others, ", "))
	}
}

const lostAdvice = "packets that need it are dropped; the next change of the rules puts it back, 'bpftables serve' at once"

func printEarly(w io.Writer, st *datapath.Early) {
	if st == nil {
		return
	}
	if st.Mode == datapath.EarlyOff {
		fmt.Fprintln(w, "  early stage: off")
		return
	}
	fmt.Fprintf(w, "  early stage: %s, %d packets dropped\n", st.Mode, st.Dropped)
	for _, one := range []struct{ what, why string }{
		{"all packets go up", st.Off}, {"only PREROUTING is judged early", st.Routes}, {"conntrack state is not judged early", st.Expects},
	} {
		if one.why != "" {
			fmt.Fprintf(w, "    %s: %s\n", one.what, one.why)
		}
	}
	for _, l := range st.Links {
		how := l.How
		if how == "" {
			how = "none"
		}
		fmt.Fprintf(w, "    %-15s %s", l.Interface, how)
		if l.Why != "" {
			fmt.Fprintf(w, ": %s", l.Why)
		}
		fmt.Fprintln(w)
	}
}
