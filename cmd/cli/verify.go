package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/conformance"
	"github.com/bpftables/bpftables/conformance/lab"
)

// verifyCmd is "bpftables verify".
type verifyCmd struct {
	familyFlag
	Packets int    `default:"200" help:"How many packets both sides judge."`
	Seed    int64  `default:"1" help:"What the packets are drawn from; the same seed draws the same packets."`
	JSON    bool   `name:"json" help:"Print JSON."`
	File    string `arg:"" help:"The text; - for standard input."`
}

// Help is the long help.
func (verifyCmd) Help() string {
	return `Example:
  bpftables verify --packets 1000 /etc/iptables/rules.v4

Two scratch hosts in network namespaces get the rules, one by iptables-legacy, one by
bpftables, and the same packets, drawn from the addresses, ports and interfaces of
the rules. Every difference in delivery, answers, marks and counters is printed, then
one summary line. Exit code 1 on a difference.`
}

// jsonVerify is the JSON form of a verification.
type jsonVerify struct {
	Packets     int      `json:"packets"`
	Counters    int      `json:"counters"`
	Chance      bool     `json:"chance"` // netfilter differs from itself on these rules
	Differences []string `json:"differences"`
}

// Run compares.
func (c *verifyCmd) Run(s *streams) error {
	in, name, err := s.open(c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	report, err := conformance.Verify(conformance.Options{
		Title: name, Family: c.family(), Text: text, Packets: c.Packets, Seed: c.Seed,
		Ours: lab.Command{Path: self},
	})
	if err != nil {
		return err
	}
	if err := c.print(s.out, report); err != nil {
		return err
	}
	if report.Failed() {
		return beside.ErrReported
	}
	return nil
}

func (c *verifyCmd) print(w io.Writer, r *conformance.Report) error {
	if c.JSON {
		out := jsonVerify{Packets: r.Packets, Counters: r.Counters, Chance: r.Chance, Differences: []string{}}
		for _, d := range r.Differences {
			out.Differences = append(out.Differences, d.String())
		}
		return writeJSON(w, out)
	}
	for _, d := range r.Differences {
		fmt.Fprintln(w, d)
	}
	_, err := fmt.Fprintln(w, r.Summary())
	return err
}
