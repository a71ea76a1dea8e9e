package conformance_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/bpftables/bpftables/"

// mayImport is the layering of the packages: what each one may import of the
// module. A trailing "/..." stands for the package and all below it.
var mayImport = map[string][]string{
	"ruleset/packet":          {},
	"ruleset/parallel":        {},
	"ruleset/pred":            {"ruleset/packet"},
	"ruleset":                 {"ruleset/pred", "ruleset/packet"},
	"ruleset/match":           {"ruleset", "ruleset/pred", "ruleset/packet"},
	"ruleset/match/rows":      {"ruleset", "ruleset/iptables/tables", "ruleset/match", "ruleset/pred", "ruleset/packet"},
	"ruleset/target":          {"ruleset", "ruleset/pred", "ruleset/packet"},
	"ruleset/iptables":        {"ruleset", "ruleset/parallel", "ruleset/iptables/tables", "ruleset/match", "ruleset/target", "ruleset/pred", "ruleset/packet"},
	"ruleset/iptables/tables": {"ruleset", "ruleset/packet"},
	"ruleset/interp":          {"ruleset", "ruleset/pred", "ruleset/packet"},
	"translate/plan":          {"ruleset/pred", "ruleset/packet"},
	"translate/flow":          {"translate/plan", "ruleset/pred"},
	"translate":               {"translate/plan", "translate/flow", "ruleset", "ruleset/parallel", "ruleset/pred", "ruleset/packet"},
	"codegen/emit":            {"bpf/abi", "ruleset/pred", "ruleset/packet"},
	"codegen/condition":       {"ruleset/pred", "ruleset/packet", "codegen/emit"},
	"codegen/rows/rule":       {"translate/plan", "ruleset/pred", "ruleset/packet", "codegen/condition", "codegen/emit", "bpf/abi"},
	"codegen/rows/layout":     {"codegen/rows/rule", "ruleset/pred", "ruleset/packet", "ruleset/parallel", "codegen/emit", "bpf/abi"},
	"codegen/rows/choice":     {"codegen/rows/layout", "translate/plan", "ruleset/packet", "bpf/abi"},
	"codegen/rows/edit":       {"codegen/rows/layout", "codegen/rows/rule", "translate/plan", "translate/flow", "ruleset/pred", "ruleset/packet", "bpf/abi"},
	"codegen/rows":            {"codegen/rows/rule", "codegen/rows/layout", "codegen/rows/choice", "translate/plan", "bpf/abi"},
	"codegen":                 {"translate/plan", "ruleset/pred", "ruleset/packet", "codegen/condition", "codegen/emit", "codegen/rows", "codegen/rows/rule", "bpf/abi"},
	"bpf/rewrite":             {},
	"bpf/...":                 {"bpf/...", "codegen", "codegen/rows/...", "translate/plan", "ruleset/pred", "ruleset/packet", "ruleset/parallel"},
	// One transaction for all owners of rules, which knows of what enforces them the
	// interface alone. Changes in place are made in the rows of a generation that is enforced.
	"engine/apply": {"engine/datapath", "engine/state", "ruleset/...", "translate/...", "codegen", "codegen/rows/...",
		"bpf/failpoint", "bpf/plainfile", "compat/caller"},
	"engine/state":    {"ruleset/...", "bpf/failpoint", "bpf/plainfile"},
	"engine/datapath": {"ruleset/...", "translate", "codegen/rows/edit", "bpf/abi"},
	// The datapaths, and who opens them.
	"engine/netfilter": {"engine/datapath", "engine/state", "ruleset/...", "translate/...", "codegen", "codegen/rows/...", "bpf/...",
		"compat/shim", "compat/tool"},
	"engine/datapaths": {"engine/apply", "engine/netfilter", "ruleset/packet", "compat/caller"},
	"engine/serve":     {"engine/...", "ruleset/...", "bpf/anchor", "bpf/attach", "bpf/thread", "compat/caller"},
	// Netfilter's own tools: who calls, the lock, what is handed to them.
	"compat/...": {"compat/...", "ruleset/...", "translate/...", "bpf/anchor", "bpf/nfnl", "bpf/plainfile", "bpf/steady"},
	// It moves rules from the tools to the engine and back.
	"compat/takeover": {"compat/...", "engine/apply", "ruleset/...", "bpf/steady"},
	// The faces of iptables' programs, and what the tools hold beside us.
	"compat/beside": {"compat/...", "engine/apply", "ruleset/..."},
	"compat/face":   {"compat/...", "engine/apply", "ruleset/...", "bpf/plainfile"},
	// The names of iptables' programs on the host.
	"compat/install": {"compat/face", "compat/tool", "compat/whole", "bpf/failpoint", "bpf/probe"},
	// The files of rules that outlive a boot.
	"compat/persist": {"compat/...", "engine/apply", "ruleset/..."},
	"compat/whole":   {"bpf/failpoint"},
	// The client is on the way of every command, before all else is initialized.
	"engine/serve/client":       {},
	"engine/serve/client/early": {"engine/serve/client"},
	"cmd/...":                   {"..."},
	"conformance/...":           {"..."},
}

// nothingElse lists packages that may import but a few of the standard library.
var nothingElse = map[string][]string{
	"engine/serve/client":       {"syscall", "unsafe"},
	"engine/serve/client/early": {"syscall"},
}

// only lists outside packages that few may import.
var only = map[string][]string{
	"github.com/cilium/ebpf/asm": {"codegen", "codegen/emit", "bpf/...", "conformance/..."},
	"github.com/cilium/ebpf":     {"bpf/...", "conformance/..."},
	"k8s.io/":                    {"k8s/..."},
}

func TestLayers(t *testing.T) {
	root := ".."
	eachGoFile(t, root, func(path, pkg string, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		allowed, known := rulesFor(pkg)
		if !known {
			t.Errorf("%s: package %s has no line in mayImport", path, pkg)
			return
		}
		for _, imp := range f.Imports {
			checkImport(t, path, pkg, strings.Trim(imp.Path.Value, `"`), allowed)
		}
	})
}

func checkImport(t *testing.T, path, pkg, imp string, allowed []string) {
	t.Helper()
	if rest, ok := strings.CutPrefix(imp, module); ok {
		if !matches(allowed, rest) {
			t.Errorf("%s: %s may not import %s", path, pkg, rest)
		}
		return
	}
	if few, ok := nothingElse[pkg]; ok && !matches(few, imp) {
		t.Errorf("%s: %s may not import %s", path, pkg, imp)
	}
	longest := ""
	for prefix := range only {
		if strings.HasPrefix(imp, prefix) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	if longest != "" && !matches(only[longest], pkg) {
		t.Errorf("%s: %s may not import %s", path, pkg, imp)
	}
}

func rulesFor(pkg string) ([]string, bool) {
	if allowed, ok := mayImport[pkg]; ok {
		return allowed, true
	}
	for p, allowed := range mayImport {
		if strings.HasSuffix(p, "/...") && matches([]string{p}, pkg) {
			return allowed, true
		}
	}
	return nil, false
}

func matches(patterns []string, pkg string) bool {
	for _, p := range patterns {
		base, tree := strings.CutSuffix(p, "...")
		switch {
		case p == pkg:
			return true
		case tree && (base == "" || pkg+"/" == base || strings.HasPrefix(pkg, base)):
			return true
		}
	}
	return false
}

func TestExportedNamesHaveDocComments(t *testing.T) {
	eachGoFile(t, "..", func(path, pkg string, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || ast.IsGenerated(f) {
			return
		}
		for _, d := range f.Decls {
			checkDoc(t, path, d)
		}
	})
}

func checkDoc(t *testing.T, path string, d ast.Decl) {
	t.Helper()
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && !wellKnown[d.Name.Name] {
			t.Errorf("%s: %s has no doc comment", path, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			ts, ok := s.(*ast.TypeSpec)
			if ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
				t.Errorf("%s: type %s has no doc comment", path, ts.Name.Name)
			}
		}
	}
}

// wellKnown are methods whose meaning their interface states.
var wellKnown = map[string]bool{
	"String": true, "Error": true, "Unwrap": true, "Is": true, "Len": true, "Less": true, "Swap": true,
	"Word": true, "Args": true, "Check": true, "Eval": true, "Lower": true, "Set": true, "Done": true,
	"Match": true, "Target": true, "Text": true, "List": true, "NeedsConntrack": true, "ChainName": true,
	"Run": true, "Help": true, "Protocol": true,
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

func eachGoFile(t *testing.T, root string, visit func(path, pkg string, f *ast.File)) {
	t.Helper()
	fset := token.NewFileSet()
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, src, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		files++
		visit(path, filepath.ToSlash(rel), f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatal("no Go files found")
	}
}
