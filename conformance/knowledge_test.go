package conformance_test

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// TestWordsAreNotCompared refuses code outside of the frontend of iptables that compares
// the name of a match or target with something: what must be known of a word is asked
// through the interfaces of ruleset/asks.go, or lies in its predicates and effects.
func TestWordsAreNotCompared(t *testing.T) {
	eachGoFile(t, "..", func(path, pkg string, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || pkg == "ruleset/iptables" {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if (n.Op == token.EQL || n.Op == token.NEQ) && (namesWord(n.X) || namesWord(n.Y)) {
					t.Errorf("%s: the name of a word is compared; ask through an interface of ruleset/asks.go", path)
				}
			case *ast.SwitchStmt:
				if namesWord(n.Tag) {
					t.Errorf("%s: a switch over the name of a word; ask through an interface of ruleset/asks.go", path)
				}
			}
			return true
		})
	})
}

// namesWord says whether an expression is the call of a method Word.
func namesWord(e ast.Expr) bool {
	call, is := e.(*ast.CallExpr)
	if !is {
		return false
	}
	method, is := call.Fun.(*ast.SelectorExpr)
	return is && method.Sel.Name == "Word"
}
