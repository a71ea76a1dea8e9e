package pred

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"testing"
)

// TestEveryEffect fails when a type that is an effect is not listed in Effects, is not
// comparable, or has no text.
func TestEveryEffect(t *testing.T) {
	listed := map[string]bool{}
	for _, e := range Effects {
		listed[reflect.TypeOf(e).Name()] = true
		if !reflect.TypeOf(e).Comparable() {
			t.Errorf("%T is not comparable", e)
		}
		if e.String() == "" {
			t.Errorf("%T has no text", e)
		}
	}
	declared := receivers(t, "isEffect")
	for name := range declared {
		if !listed[name] {
			t.Errorf("%s is not listed in Effects", name)
		}
	}
	if len(declared) != len(Effects) {
		t.Errorf("%d types are effects, %d are listed", len(declared), len(Effects))
	}
}

// TestEffectTexts checks that texts of any bytes come back.
func TestEffectTexts(t *testing.T) {
	for _, want := range []Effect{
		Log{Prefix: "\xff\x00\"\\\n ü"}, ChangeKernelSet{Add: KernelSetKey{Set: "\xfe\"", Dirs: "src"}}, NewOpaque([]string{"A", "b \xc3"}),
	} {
		data, err := EncodeEffect(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeEffect(data); got != want {
			t.Errorf("%s: %v (%v), want %v", data, got, err, want)
		}
	}
	if _, err := DecodeEffect([]byte(`{"kind":"Nonsense","value":{}}`)); err == nil {
		t.Error("an unknown effect is read")
	}
}

// receivers are the types of this package that have a method.
func receivers(t *testing.T, method string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == method && fn.Recv != nil {
				out[fn.Recv.List[0].Type.(*ast.Ident).Name] = true
			}
		}
	}
	return out
}
