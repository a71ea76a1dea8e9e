package conformance_test

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// speakIptables may name iptables' tables and chains: its frontend, the faces of its tools,
// and what looks for what those tools left.
var speakIptables = []string{
	"ruleset/iptables", "compat", "conformance",
	"ruleset/match/rows",                                // rows of tests say where a rule stands
	"cmd/cli/print.go",                                  // a command of iptables' face
	"ruleset/packet/facts.go",                           // netfilter's hooks have these names, too
	"ruleset/packet/text.go", "ruleset/packet/print.go", // "raw" is a word for bytes there
}

// TestNames finds iptables' names of tables and chains outside of what speaks its language:
// everything else decides by hook, type and priority.
func TestNames(t *testing.T) {
	names := map[string]bool{}
	for _, table := range tables.Names {
		names[table] = true
	}
	for h := packet.Prerouting; h <= packet.Postrouting; h++ {
		names[tables.ChainName(h)] = true
	}
	found := 0
	eachGoFile(t, "..", func(path, _ string, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		path = strings.TrimPrefix(path, "../")
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			word, err := strconv.Unquote(lit.Value)
			if err != nil || !names[word] {
				return true
			}
			found++
			if !maySpeak(path) {
				t.Errorf("%s: %s is a name of iptables; ask the chain's Base instead", path, lit.Value)
			}
			return true
		})
	})
	if found < 10 {
		t.Errorf("only %d names were found anywhere", found)
	}
}

func maySpeak(path string) bool {
	for _, may := range speakIptables {
		if path == may || strings.HasPrefix(path, may+"/") {
			return true
		}
	}
	return false
}
