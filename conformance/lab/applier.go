package lab

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Applier is a firewall that a lab can load rules into. The namespace is named as
// under /run/netns.
type Applier interface {
	// Apply replaces the tables that the text names.
	Apply(netns string, family packet.Family, text []byte) error
	// Save gives the rules in force, in the form of iptables-save.
	Save(netns string, family packet.Family, counters bool) ([]byte, error)
	// Clear removes everything; the namespace can be deleted afterwards.
	Clear(netns string) error
}

// Legacy is netfilter itself, by iptables-legacy.
type Legacy struct{}

func legacyTool(family packet.Family, what string) string {
	if family == packet.IPv6 {
		return "ip6tables-legacy-" + what
	}
	return "iptables-legacy-" + what
}

// Apply runs iptables-legacy-restore, counters of the text included.
func (Legacy) Apply(netns string, family packet.Family, text []byte) error {
	_, err := inNetns(netns, text, legacyTool(family, "restore"), "-c", "-w")
	return err
}

// Save runs iptables-legacy-save.
func (Legacy) Save(netns string, family packet.Family, counters bool) ([]byte, error) {
	if counters {
		return inNetns(netns, nil, legacyTool(family, "save"), "-c")
	}
	return inNetns(netns, nil, legacyTool(family, "save"))
}

// Clear leaves the rules to the end of the namespace.
func (Legacy) Clear(string) error { return nil }

// Command is bpftables, by its binary.
type Command struct{ Path string }

func (c Command) args(verb string, family packet.Family, more ...string) []string {
	args := []string{c.Path, verb}
	if family == packet.IPv6 {
		args = append(args, "-6")
	}
	return append(args, more...)
}

// Apply runs bpftables restore, counters of the text included.
func (c Command) Apply(netns string, family packet.Family, text []byte) error {
	_, err := inNetns(netns, text, c.args("restore", family, "-c", "-w")...)
	return err
}

// Save runs bpftables save.
func (c Command) Save(netns string, family packet.Family, counters bool) ([]byte, error) {
	if counters {
		return inNetns(netns, nil, c.args("save", family, "-c")...)
	}
	return inNetns(netns, nil, c.args("save", family)...)
}

// Clear runs bpftables flush --all: what is pinned would keep the namespace.
func (c Command) Clear(netns string) error {
	_, err := inNetns(netns, nil, c.Path, "flush", "--all", "-w")
	return err
}

func inNetns(netns string, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("ip", append([]string{"netns", "exec", netns}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.Bytes(), nil
}
