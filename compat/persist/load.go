package persist

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Loader enforces files.
type Loader struct {
	Family packet.Family
	Report io.Writer
	// Ours lets bpftables enforce a text; Theirs netfilter's own tools, of which it names the one that did.
	Ours   func(text, file string) error
	Theirs func(text string) (string, error)
	// Enforced says that rules are enforced already: they are left alone then.
	Enforced bool
}

// Load enforces a file. The error says that it is not what is enforced now, and what is.
func (l *Loader) Load(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(l.Report, "%s: there is no file %s; nothing is enforced for it\n", l.Family, path)
		return nil
	}
	if err == nil {
		err = l.enforce(string(data), path)
	}
	if err == nil {
		if !Full(string(data)) {
			fmt.Fprintf(l.Report, "%s: warning: %s has no rules: everything is accepted\n", l.Family, path)
		}
		return nil
	}
	if l.Enforced {
		return fmt.Errorf("%w; what was enforced goes on", err)
	}
	return errors.Join(err, l.fallBack(path))
}

// enforce lets bpftables enforce a text, or netfilter's own tools where it cannot: as on a kernel that
// is too old for it. What both refuse is wrong.
func (l *Loader) enforce(text, file string) error {
	err := l.Ours(text, file)
	if err == nil {
		fmt.Fprintf(l.Report, "%s: %s is enforced\n", l.Family, file)
		return nil
	}
	if l.Enforced {
		return err
	}
	tool, theirs := l.Theirs(text)
	if theirs != nil {
		return errors.Join(err, theirs)
	}
	fmt.Fprintf(l.Report, "%s: warning: %s is enforced by %s, as bpftables cannot: %v\n", l.Family, file, tool, err)
	return nil
}

// fallbackSuffix is behind the name of the file that is loaded in the place of one that cannot be, as
// iptables-services has it.
const fallbackSuffix = ".fallback"

// fallBack enforces something in the place of a file that cannot be.
func (l *Loader) fallBack(path string) error {
	path += fallbackSuffix
	data, err := os.ReadFile(path)
	if err == nil {
		err = l.enforce(string(data), path)
	}
	if err == nil {
		return fmt.Errorf("%s: %s is enforced in its place", l.Family, path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if bad := l.enforce(closed(l.Family), "a ruleset that lets in nothing but answers"); bad != nil {
		return errors.Join(err, bad, fmt.Errorf("%s: THE HOST IS OPEN: neither bpftables nor netfilter's tools enforce anything", l.Family))
	}
	return errors.Join(err, fmt.Errorf("%s: the host is closed: it lets in answers to what it asks, and nothing else, until rules are loaded", l.Family))
}

// closed lets in what a host needs to have an address and to hear answers: with IPv6 routers and
// neighbours (RFC 4861) and DHCP (RFC 8415).
func closed(family packet.Family) string {
	lines := []string{"*filter", ":INPUT DROP [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT ACCEPT [0:0]",
		"-A INPUT -i lo -j ACCEPT", "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"}
	if family == packet.IPv6 {
		for _, kind := range []string{"134", "135", "136", "137"} {
			lines = append(lines, "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type "+kind+" -m hl --hl-eq 255 -j ACCEPT")
		}
		lines = append(lines, "-A INPUT -s fe80::/10 -p udp -m udp --sport 547 --dport 546 -j ACCEPT")
	}
	return strings.Join(append(lines, "COMMIT", ""), "\n")
}
