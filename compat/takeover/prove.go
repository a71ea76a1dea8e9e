package takeover

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/bpftables/bpftables/compat/tool"
)

// failedLine is where the tools say which line they refuse.
var failedLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`line:? (\d+)`) })

// unread are options whose default the tools print, but do not keep as they would keep what
// is printed: of a mask for 32 bits the other 96, which no packet is asked for
// (recent_init() and connlimit_init() in extensions of iptables).
var unread = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(` --mask 255\.255\.255\.255| --connlimit-mask 32\b`) })

// prove makes sure that what a tool prints of a table says what the kernel holds. Some
// rules are printed with loss: iptables-legacy-save prints "-p udp" for a rule with
// "-p udp ! --dport 0:65535", which matches nothing. So the tool is asked to delete each
// rule by its text (that of the tool, or ours), for a test. A rule that is not as its text
// says is found by none of them, and one text is left over.
func prove(t *tool.Tool, table, text string) error {
	lines := []string{"*" + table}
	for _, line := range strings.Split(text, "\n") {
		if _, rule, ok := strings.Cut(line, "-A "); ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ":") {
			lines = append(lines, "-D "+rule)
		}
	}
	lines = append(lines, "COMMIT", "")
	ways := make([][]string, len(lines))
	for i, line := range lines {
		ways[i] = written(line)
		lines[i] = ways[i][0]
	}
	for {
		err := t.Try(strings.Join(lines, "\n"))
		if err == nil {
			return nil
		}
		n := 0
		if m := failedLine().FindStringSubmatch(err.Error()); m != nil {
			n, _ = strconv.Atoi(m[1])
		}
		if n < 1 || n > len(lines) {
			return fmt.Errorf("%s: table %s cannot be compared with what is printed of it: %w", t.Name(), table, err)
		}
		more := ways[n-1][1:]
		if len(more) == 0 {
			rule := strings.Replace(lines[n-1], "-D ", "-A ", 1)
			return fmt.Errorf("%s: table %s: the kernel's rule is not what the tool prints for it: %q; write the rule in another way, then take the table over (%w)", t.Name(), table, rule, err)
		}
		ways[n-1], lines[n-1] = more, more[0]
	}
}

// written are the ways in which a rule may have been written: with each of the options that
// are not kept, or without it; last as it is printed.
func written(line string) []string {
	at := unread().FindStringIndex(line)
	if at == nil {
		return []string{line}
	}
	rest := written(line[at[1]:])
	var out []string
	for _, option := range []string{"", line[at[0]:at[1]]} {
		for _, r := range rest {
			out = append(out, line[:at[0]]+option+r)
		}
	}
	return out
}
