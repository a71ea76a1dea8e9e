package conformance_test

import (
	"go/ast"
	"strings"
	"testing"
)

// dumps are the functions of other modules that read a list of the kernel in several
// messages.
var dumps = map[string]bool{
	"LinkList": true, "AddrList": true, "RouteList": true, "RouteListFiltered": true, "RuleList": true, "FilterList": true, "QdiscList": true,
	"ListChains": true, "ListChainsOfTableFamily": true, "ListTables": true, "ListTablesOfFamily": true,
	"GetSets": true, "GetObjects": true, "GetRules": true, "GetRule": true,
}

// Lists of the kernel are read by way of bpf/steady: what others change meanwhile may be
// missing from one otherwise, and enforced or not for that reason.
func TestListsAreSteady(t *testing.T) {
	found := 0
	eachGoFile(t, "..", func(path, pkg string, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(pkg, "conformance") {
			return
		}
		inside := map[ast.Node]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name, of := called(call)
			if pkg == "bpf/steady" && name == "Routing" || of == "steady" {
				ast.Inspect(call, func(n ast.Node) bool { inside[n] = true; return true })
			}
			if dumps[name] {
				found++
				if !inside[call] {
					t.Errorf("%s: %s is called outside of steady.Tables or steady.Routing", path, name)
				}
			}
			return true
		})
	})
	if found == 0 {
		t.Error("no list is read")
	}
}

// called gives the name of a function that is called, and what stands before the dot.
func called(call *ast.CallExpr) (name, of string) {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name, ""
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			of = x.Name
		}
		return f.Sel.Name, of
	}
	return "", ""
}
