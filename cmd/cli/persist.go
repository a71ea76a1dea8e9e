package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/compat/persist"
	"github.com/bpftables/bpftables/compat/theirs"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// persistCmd is "bpftables persist".
type persistCmd struct {
	familiesFlag
	waitFlag
	Counters bool   `short:"c" help:"With counters."`
	Force    bool   `help:"Also replace rules by none."`
	Load     bool   `help:"Enforce the files, as when the host starts."`
	File     string `arg:"" optional:"" help:"Another file, of one family (-4 or -6)."`
}

// Help is the long help.
func (persistCmd) Help() string {
	return `Example:
  bpftables persist
  bpftables persist --load

The rules are stored where the distribution keeps them: in /etc/iptables (rules.v4, rules.v6), or
in /etc/sysconfig (iptables, ip6tables) where only that is. A file is the old or the new one as a
whole, also after a crash. Rules are not replaced by none, unless --force is given.

With --load, the files are enforced. If one cannot be, and nothing is enforced yet,
netfilter's own tools are asked to; where they refuse, too, the file with .fallback behind its name
is loaded; without that, the host lets in answers to what it asks and nothing else. The
exit code is 1 then.`
}

// Run stores or loads.
func (c *persistCmd) Run(s *streams) error {
	if c.File != "" && !c.IPv4 && !c.IPv6 {
		return errors.New("a file is of one family; give -4 or -6")
	}
	var errs []error
	for _, family := range c.families() {
		path := c.File
		if path == "" {
			path = persist.File(family)
		}
		if c.Load {
			errs = append(errs, c.loader(s, family).Load(path))
			continue
		}
		errs = append(errs, c.save(s, family, path))
	}
	if errs := errors.Join(errs...); errs != nil {
		return errs
	}
	return s.noteEnforcing()
}

func (c *persistCmd) save(s *streams, family packet.Family, path string) error {
	var text bytes.Buffer
	err := s.withEngine(family, func(e *apply.Engine) error {
		return beside.Save(e, s.caller, &text, iptables.PrintOptions{Counters: c.Counters, Comments: true}, beside.How{})
	})
	if err != nil {
		return err
	}
	if err := persist.Save(path, text.String(), c.Force); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: stored in %s\n", family, path)
	return nil
}

func (c *persistCmd) loader(s *streams, family packet.Family) *persist.Loader {
	return &persist.Loader{
		Family: family, Report: s.out,
		Ours: func(text, file string) error {
			req := &apply.Request{Text: strings.NewReader(text), File: file, Counters: true, Output: s.out}
			return s.locked(c.waitFlag, family, func(e *apply.Engine) error { return beside.Restore(e, s.caller, req, beside.How{}) })
		},
		Theirs:   func(text string) (string, error) { return s.byTools(family, text) },
		Enforced: s.enforced(family),
	}
}

// byTools lets a tool of netfilter's load a text: that which the host's iptables stands for, or the
// other one.
func (s *streams) byTools(family packet.Family, text string) (name string, err error) {
	all, err := tool.Variants(family, s.caller.Env)
	if err != nil {
		return "", err
	}
	if host, err := tool.Find(family, s.caller.Env); err == nil && len(all) > 1 && all[0].Variant() != host.Variant() {
		all[0], all[1] = all[1], all[0]
	}
	errs := []error{}
	for _, t := range all {
		// It would load the tables in front of a fault.
		err := t.Try(text)
		if err == nil {
			err = t.Restore(text)
		}
		if err == nil {
			return t.Name(), nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		errs = append(errs, tool.ErrMissing)
	}
	return "", errors.Join(errs...)
}

// enforced says whether rules of a family are enforced, by anybody.
func (s *streams) enforced(family packet.Family) bool {
	ours := false
	err := s.withEngine(family, func(e *apply.Engine) error {
		held, err := e.Held()
		ours = err != nil || len(held) > 0 // what cannot be read is there
		return nil
	})
	if err == nil && ours {
		return true
	}
	held, err := theirs.Open(family, "", s.caller.Env).All()
	return err == nil && len(held) > 0
}
