package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/bpftables/bpftables/compat/install"
	"github.com/bpftables/bpftables/compat/lock"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// compatFlags are those of install-compat and remove-compat.
type compatFlags struct {
	waitFlag
	DryRun    bool   `name:"dry-run" aliases:"test" help:"Say what would be done; change nothing."`
	NamesOnly bool   `name:"names-only" help:"Leave all rules where they are."`
	Root      string `name:"root" placeholder:"DIR" help:"Work on the system in a directory, as when an image is built; leave all rules where they are."`
}

// installCompatCmd is "bpftables install-compat".
type installCompatCmd struct {
	compatFlags
	Dialect string `name:"dialect" enum:",legacy,nft" default:"" help:"Whose words the plain names speak: legacy, nft; by default those of the host's iptables."`
}

// Help is the long help.
func (installCompatCmd) Help() string {
	return `Example:
  bpftables install-compat --dry-run
  bpftables install-compat --dialect nft

The names iptables and ip6tables, with -save and -restore, become those of bpftables: by
update-alternatives where the distribution has it for them, else by links, with the
programs that stood there kept aside. Then the rules of iptables-legacy and iptables-nft are
taken over, as 'bpftables takeover' does it. Nothing is changed if they could not be. The
names iptables-legacy and iptables-nft stay those of the distribution. Where an image is
built (in a chroot, or without CAP_NET_ADMIN) only the names are changed. It may be run
again at any time, and must be if it was killed.`
}

// Run installs the names, and takes the rules over.
func (c *installCompatCmd) Run(s *streams) error {
	h, why, err := c.host(s)
	if err != nil {
		return err
	}
	dialect, err := c.dialect(s, h)
	if err != nil {
		return err
	}
	if why == "" {
		if err := s.ableToEnforce(c.waitFlag); err != nil {
			return err
		}
		if err := s.checkTakeover(c.waitFlag, bothOf, c.DryRun); err != nil {
			return err
		}
	}
	if err := h.Install(dialect); err != nil || c.DryRun {
		return err
	}
	if why != "" {
		fmt.Fprintf(s.out, "rules stay where they are: %s; take them over with 'bpftables takeover'\n", why)
		return nil
	}
	if err := s.takeOver(c.waitFlag, bothOf); err != nil {
		return fmt.Errorf("%w; the names are those of bpftables now, and all rules are enforced; run install-compat again, or remove-compat", err)
	}
	return s.noteEnforcing()
}

// dialect is the dialect that the plain names are to speak.
func (c *installCompatCmd) dialect(s *streams, h *install.Host) (string, error) {
	if c.Dialect != "" {
		return c.Dialect, nil
	}
	if was, err := h.Dialect(); err != nil || was != "" {
		return was, err
	}
	if host := tool.HostVariant(packet.IPv4, s.caller.Env); host != "" {
		return host, nil
	}
	return tool.Legacy, nil
}

// removeCompatCmd is "bpftables remove-compat".
type removeCompatCmd struct {
	compatFlags
}

// Help is the long help.
func (removeCompatCmd) Help() string {
	return `Example:
  bpftables remove-compat

All rules are given back, as 'bpftables give-back' does it, then the names stand for what they
stood for before install-compat. If rules cannot be given back, they and the names stay ours. It also undoes an install-compat that was killed, and may be run again.
Rules in other network namespaces are given back there. Where the files in /run/bpftables are
lost, nobody knows what is enforced: then the rules that 'bpftables persist' has stored are
given back in their place, with a warning; without such a file they stay.`
}

// Run gives the rules and the names back.
func (c *removeCompatCmd) Run(s *streams) error {
	h, why, err := c.host(s)
	if err != nil {
		return err
	}
	if why != "" || c.DryRun {
		if why == "" {
			fmt.Fprintln(s.out, "would give the rules of both families back, as give-back does")
		}
		return h.Remove()
	}
	if err := s.giveAndRemove(c.waitFlag, h); err != nil {
		return err
	}
	// What came through the names until they were given back.
	return s.giveBack(c.waitFlag, bothOf, io.Discard)
}

// giveAndRemove gives the rules back, and the names before anybody else gets the lock.
func (s *streams) giveAndRemove(w waitFlag, h *install.Host) error {
	l, err := lock.Acquire(w.duration(), s.caller)
	if err != nil {
		return err
	}
	defer l.Release()
	if err := s.giveAll(); err != nil {
		return err
	}
	return h.Remove()
}

// bothOf is both families.
var bothOf = []packet.Family{packet.IPv4, packet.IPv6}

// host gives the host whose names are changed. why says why its rules are not.
func (c *compatFlags) host(s *streams) (h *install.Host, why string, err error) {
	if os.Geteuid() != 0 {
		return nil, "", errors.New("the names of iptables' programs are root's to change; run it as root")
	}
	if h, err = install.Open(c.Root, s.out); err != nil {
		return nil, "", err
	}
	h.DryRun = c.DryRun
	switch {
	case c.Root != "":
		why = "--root was given"
	case c.NamesOnly:
		why = "--names-only was given"
	default:
		why = install.BuildsImage()
	}
	return h, why, nil
}

// ableToEnforce says why this kernel would not take rules, before anything depends on it.
func (s *streams) ableToEnforce(w waitFlag) error {
	return s.locked(w, packet.IPv4, func(e *apply.Engine) error {
		return e.Restore(&apply.Request{Text: strings.NewReader("*filter\n-A INPUT -j ACCEPT\nCOMMIT\n"), File: "a rule", NoFlush: true, Test: true, Output: io.Discard})
	})
}
