package conformance_test

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/engine/datapaths"
)

// TestEveryDatapath finds the packages of the engine that open a datapath: each is in the
// table, under its own name.
func TestEveryDatapath(t *testing.T) {
	var packages, named []string
	eachGoFile(t, "..", func(file, pkg string, f *ast.File) {
		if !strings.HasPrefix(pkg, "engine/") || strings.HasSuffix(file, "_test.go") {
			return
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "Open" && opensDatapath(fn) {
				packages = append(packages, path.Base(pkg))
			}
		}
	})
	for _, k := range datapaths.Kinds {
		named = append(named, k.Name)
	}
	if len(packages) == 0 {
		t.Fatal("no package opens a datapath")
	}
	slices.Sort(packages)
	if !slices.Equal(packages, named) {
		t.Errorf("packages %v open datapaths, the table has %v", packages, named)
	}
}

// opensDatapath says whether a function gives a datapath.Datapath.
func opensDatapath(fn *ast.FuncDecl) bool {
	if fn.Type.Results == nil || len(fn.Type.Results.List) == 0 {
		return false
	}
	s, ok := fn.Type.Results.List[0].Type.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Datapath"
}
