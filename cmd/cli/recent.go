package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// recentCmd is "bpftables recent".
type recentCmd struct {
	Name    string `arg:"" optional:"" help:"The list; without it, the names of all lists are printed."`
	Verb    string `arg:"" optional:"" enum:"show,add,del,flush,write" default:"show" help:"show, add, del, flush or write."`
	Address string `arg:"" optional:"" help:"What is added or deleted."`
}

// Help is the long help.
func (recentCmd) Help() string {
	return `Example:
  bpftables recent
  bpftables recent ssh
  bpftables recent ssh add 192.0.2.7
  echo -192.0.2.7 | bpftables recent ssh write

A list whose rules run in BPF is not in /proc/net/xt_recent. It is printed here as there, one
address in a line, and 'write' takes what can be written there: +ADDRESS, -ADDRESS, or / which
empties the list. Lists of tables that are left to netfilter are read and written in
/proc/net/xt_recent by the same commands.`
}

// recentDir has the kernel's own lists. The thread's entry is asked: its namespace may not be that
// of the process.
const recentDir = "/proc/thread-self/net/xt_recent"

// errWritten is what the kernel says of a text that it cannot read.
var errWritten = fmt.Errorf("%w; write +ADDRESS, -ADDRESS or /", unix.EINVAL)

// Run prints or changes a list.
func (c *recentCmd) Run(s *streams) error {
	text, err := c.text(s.in)
	if err != nil {
		return err
	}
	return s.withEngine(packet.IPv4, func(e *apply.Engine) error {
		switch {
		case c.Name == "":
			return recentNames(e, s.out)
		case text == "":
			return showRecent(e, c.Name, s.out)
		}
		return writeRecent(e, c.Name, text)
	})
}

// text is what would be written to the kernel's file; "": it is to be read.
func (c *recentCmd) text(in io.Reader) (string, error) {
	if takes := c.Verb == "add" || c.Verb == "del"; takes != (c.Address != "") {
		return "", fmt.Errorf("recent: %s: give an address with add and del, and with nothing else", c.Verb)
	}
	switch c.Verb {
	case "add":
		return "+" + c.Address, nil
	case "del":
		return "-" + c.Address, nil
	case "flush":
		return "/", nil
	case "write":
		text, err := io.ReadAll(io.LimitReader(in, 64))
		if err == nil && len(text) == 0 {
			err = errWritten
		}
		return string(text), err
	}
	return "", nil
}

// recentNames prints the names of all lists.
func recentNames(e *apply.Engine, out io.Writer) error {
	names, err := e.Lists()
	if err != nil {
		return err
	}
	files, err := os.ReadDir(recentDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		fmt.Fprintln(out, name)
	}
	return nil
}

// showRecent prints a list, ours and the kernel's.
func showRecent(e *apply.Engine, name string, out io.Writer) error {
	ours, err := e.List(name)
	if err != nil {
		return err
	}
	theirs, kernelErr := os.ReadFile(filepath.Join(recentDir, filepath.Base(name)))
	switch {
	case errors.Is(kernelErr, fs.ErrNotExist) && ours == nil:
		return noRecent(name)
	case kernelErr != nil && !errors.Is(kernelErr, fs.ErrNotExist):
		return fmt.Errorf("recent %s: %w", name, kernelErr)
	}
	if ours != nil {
		defer ours.Close()
		all, err := ours.Entries()
		if err != nil {
			return err
		}
		for _, seen := range all {
			fmt.Fprintln(out, seen)
		}
	}
	_, err = io.Copy(out, bytes.NewReader(theirs))
	return err
}

func noRecent(name string) error {
	return fmt.Errorf("recent %s: %w; a rule with '-m recent --name %s' makes the list", name, unix.ENOENT, name)
}

func refusedRecent(name, text string, err error) error {
	if errors.Is(err, unix.EINVAL) {
		err = errWritten
	}
	return fmt.Errorf("recent %s: %q: %w", name, text, err)
}

// writeRecent changes a list by a text, as recent_mt_proc_write() does (net/netfilter/xt_recent.c).
func writeRecent(e *apply.Engine, name, text string) error {
	ours, err := e.List(name)
	if err != nil {
		return err
	}
	err = os.WriteFile(filepath.Join(recentDir, filepath.Base(name)), []byte(text), 0)
	switch {
	case errors.Is(err, fs.ErrNotExist) && ours == nil:
		return noRecent(name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return refusedRecent(name, text, err)
	case ours == nil:
		return nil
	}
	defer ours.Close()
	if err := editRecent(ours, text); err != nil {
		return refusedRecent(name, text, err)
	}
	return nil
}

// editRecent does what a text says to a list of ours.
func editRecent(l datapath.List, text string) error {
	if text[0] == '/' {
		return l.Flush()
	}
	line, _, _ := strings.Cut(text[1:], "\n")
	a, err := netip.ParseAddr(line)
	if err != nil || a.Zone() != "" {
		return errWritten
	}
	switch text[0] {
	case '+':
		return l.Add(a)
	case '-':
		return l.Remove(a)
	}
	return errWritten
}
