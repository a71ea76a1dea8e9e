package shim

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
)

// Removal gives restore text (for use without flushing) that removes everything of
// ours from a table, except what belongs to generation keep (0: nothing stays).
// saved is iptables-save text of the table; pins is the directory that all our pins
// lie under. "" when there is nothing to remove.
func Removal(table, saved, pins string, keep uint32) string {
	var deletions, flushes, chains []string
	number := map[string]int{}
	for _, line := range strings.Split(saved, "\n") {
		if name, ok := chainLine(line); ok {
			if gen, ours := Generation(name); ours && gen != keep {
				flushes = append(flushes, "-F "+name)
				chains = append(chains, "-X "+name)
			}
			continue
		}
		chain, rule, ok := ruleLine(line)
		if !ok {
			continue
		}
		number[chain]++
		if _, ours := Generation(chain); !ours && refersTo(rule, pins, keep) {
			deletions = append(deletions, fmt.Sprintf("-D %s %d", chain, number[chain]))
		}
	}
	if len(deletions)+len(chains) == 0 {
		return ""
	}
	reverse(deletions)
	lines := append(append(deletions, flushes...), chains...)
	return "*" + table + "\n" + strings.Join(lines, "\n") + "\nCOMMIT\n"
}

// Foreign says whether a saved table holds rules or chains that are not ours, or a
// policy other than ACCEPT.
func Foreign(saved, pins string) bool {
	for _, line := range strings.Split(saved, "\n") {
		if name, ok := chainLine(line); ok {
			fields := strings.Fields(line)
			if _, ours := Generation(name); !ours && (fields[1] == "-" || fields[1] == "DROP") {
				return true
			}
			continue
		}
		chain, rule, ok := ruleLine(line)
		if !ok {
			continue
		}
		if _, ours := Generation(chain); !ours && !strings.Contains(rule, "--object-pinned "+pins+"/") {
			return true
		}
	}
	return false
}

// RemoveForeign gives restore text (for use without flushing) that removes all rules
// and chains that are not ours from a table, and sets its policies to ACCEPT: what
// iptables-restore would have done to them.
func RemoveForeign(table, saved, pins string) string {
	var policies, deletions, flushes, chains []string
	number := map[string]int{}
	for _, line := range strings.Split(saved, "\n") {
		if name, ok := chainLine(line); ok {
			_, ours := Generation(name)
			switch {
			case strings.Fields(line)[1] != "-":
				policies = append(policies, ":"+name+" ACCEPT [0:0]")
			case !ours:
				flushes = append(flushes, "-F "+name)
				chains = append(chains, "-X "+name)
			}
			continue
		}
		chain, rule, ok := ruleLine(line)
		if !ok {
			continue
		}
		number[chain]++
		if _, builtIn := tables.HookOf(chain); builtIn && !strings.Contains(rule, "--object-pinned "+pins+"/") {
			deletions = append(deletions, fmt.Sprintf("-D %s %d", chain, number[chain]))
		}
	}
	reverse(deletions)
	lines := append(append(append(policies, deletions...), flushes...), chains...)
	return "*" + table + "\n" + strings.Join(lines, "\n") + "\nCOMMIT\n"
}

// reverse turns deletions by number round: from the end, the numbers of earlier
// rules stay right.
func reverse(deletions []string) {
	for i, j := 0, len(deletions)-1; i < j; i, j = i+1, j-1 {
		deletions[i], deletions[j] = deletions[j], deletions[i]
	}
}

// chainLine reads ":NAME policy [p:b]".
func chainLine(line string) (name string, ok bool) {
	if !strings.HasPrefix(line, ":") {
		return "", false
	}
	name, _, _ = strings.Cut(line[1:], " ")
	return name, true
}

// ruleLine reads "[p:b] -A CHAIN rule".
func ruleLine(line string) (chain, rule string, ok bool) {
	at := strings.Index(line, "-A ")
	if at < 0 || strings.HasPrefix(line, "#") {
		return "", "", false
	}
	chain, rule, _ = strings.Cut(line[at+3:], " ")
	return chain, rule, true
}

func number(digits string) (uint32, bool) {
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), err == nil
}

// Count counts the chains of a generation in a saved table, and the rules in them and
// those that use pins of it elsewhere.
func Count(saved, pins string, gen uint32) (chains, rules int) {
	for _, line := range strings.Split(saved, "\n") {
		if name, ok := chainLine(line); ok {
			if of, ours := Generation(name); ours && of == gen && !aside(name, gen) {
				chains++
			}
			continue
		}
		chain, rule, ok := ruleLine(line)
		if !ok {
			continue
		}
		of, ours := Generation(chain)
		if ours && of == gen && !aside(chain, gen) || !ours && strings.Contains(rule, "--object-pinned "+PinDir(pins, gen)+"/") {
			rules++
		}
	}
	return chains, rules
}

// refersTo says whether a rule uses a pin of ours of another generation than keep.
func refersTo(rule, pins string, keep uint32) bool {
	if !strings.Contains(rule, "--object-pinned "+pins+"/") {
		return false
	}
	return keep == 0 || !strings.Contains(rule, "--object-pinned "+PinDir(pins, keep)+"/")
}

// WholeCounters reads the counters of a table laid out by Whole from saved text: for
// each chain, by its index in the table, the policy's and those of the rules.
func WholeCounters(saved, table string, gen uint32, chains []string) []ChainCounters {
	byName := map[string]int{}
	out := make([]ChainCounters, len(chains))
	bases := map[string]int{}
	for i := range chains {
		byName[wholeName(gen, table, i)] = i
		bases[baseName(gen, table, i)] = i
	}
	for _, line := range strings.Split(saved, "\n") {
		chain, _, ok := ruleLine(line)
		if !ok {
			continue
		}
		count := counters(line)
		if i, ok := byName[chain]; ok {
			out[i].Rules = append(out[i].Rules, count)
		} else if i, ok := bases[chain]; ok {
			out[i].Policy = count // of the last rule: the jump is before it
		}
	}
	return out
}

// ChainCounters are the counters of one chain.
type ChainCounters struct {
	Policy ruleset.Counters
	Rules  []ruleset.Counters
}

// counters reads the "[packets:bytes]" at the start of a line.
func counters(line string) ruleset.Counters {
	inner, _, ok := strings.Cut(strings.TrimPrefix(line, "["), "]")
	p, b, ok2 := strings.Cut(inner, ":")
	if !ok || !ok2 {
		return ruleset.Counters{}
	}
	packets, _ := strconv.ParseUint(p, 10, 64)
	bytes, _ := strconv.ParseUint(b, 10, 64)
	return ruleset.Counters{Packets: packets, Bytes: bytes}
}

// Tables are the netfilter tables in which something of ours may stand, sorted.
func Tables() []string {
	return tables.Names
}
