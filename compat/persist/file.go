// Package persist keeps rules in the files in which distributions keep them, and enforces them
// when the host starts.
//
// In: the rules of a family, as text (Save), or such a file (Load). Out: a file that is the old or the
// new one as a whole, or rules that are enforced. Refused: an empty ruleset in the place of
// another, which is what a host looks like whose rules were not loaded.
//
// A host whose file cannot be loaded is not left open, if nothing is enforced there: Load then asks
// netfilter's own tools, then the file that stands beside it for that purpose, and at last lets
// nothing in but answers.
package persist

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bpftables/bpftables/compat/whole"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// places are where files are kept: by netfilter-persistent of Debian, and by iptables-services of Fedora.
var places = []struct{ dir, ipv4, ipv6 string }{
	{"/etc/iptables", "rules.v4", "rules.v6"},
	{"/etc/sysconfig", "iptables", "ip6tables"},
}

// File is the file of a family: in the first of the places whose directory is there, or which will be made.
func File(family packet.Family) string {
	at := places[0]
	for _, p := range places {
		if st, err := os.Stat(p.dir); err == nil && st.IsDir() {
			at = p
			break
		}
	}
	if family == packet.IPv6 {
		return filepath.Join(at.dir, at.ipv6)
	}
	return filepath.Join(at.dir, at.ipv4)
}

// mode is that of netfilter-persistent's files: rules may tell more than everybody should know.
const mode = 0o640

// Save writes a file. force: also where it would replace rules by none.
func Save(path, text string, force bool) error {
	// The directory's owner may have put a link there.
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
	}
	if !force && !Full(text) {
		old, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if Full(string(old)) {
			return fmt.Errorf("%s: it has rules, and none are enforced now; with --force it is emptied", path)
		}
	}
	if err := whole.Write(path, []byte(text), mode); err != nil {
		return fmt.Errorf("%s: the rules are not stored, and the file is what it was: %w", path, err)
	}
	return nil
}

// Full says whether a text enforces anything: a rule, a chain, a policy other than ACCEPT.
func Full(text string) bool {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) > 1 && (f[0] == "-A" || strings.HasPrefix(f[0], "[") && f[1] == "-A"):
			return true
		case len(f) > 1 && strings.HasPrefix(f[0], ":") && f[1] != "ACCEPT":
			return true
		}
	}
	return false
}
