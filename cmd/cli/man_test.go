package cli

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write docs/bpftables.8")

const manFile = "../../docs/bpftables.8"

func TestManualIsUpToDate(t *testing.T) {
	var want bytes.Buffer
	if err := manual(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(manFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(manFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want.Bytes()) {
		t.Errorf("%s is out of date; commit what 'make man' writes", manFile)
	}
}

func TestManualIsClean(t *testing.T) {
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		t.Skip("mandoc is not installed")
	}
	// xref asks whether the pages that are referred to are installed here.
	pages, err := filepath.Glob("../../docs/*.8")
	if err != nil || len(pages) < 3 {
		t.Fatal(pages, err)
	}
	out, err := exec.Command(mandoc, append([]string{"-T", "lint", "-W", "warning"}, pages...)...).CombinedOutput()
	if err != nil {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	for _, name := range commandNames(t) {
		var out, errOut bytes.Buffer
		if code := Run([]string{name, "--help"}, nil, &out, &errOut); code != exitOK {
			t.Errorf("%s --help: exit code %d: %s", name, code, &errOut)
		}
		if !bytes.Contains(out.Bytes(), []byte("Example")) || !bytes.Contains(out.Bytes(), []byte("bpftables "+name)) {
			t.Errorf("%s --help has no example:\n%s", name, &out)
		}
	}
}

func commandNames(t *testing.T) (names []string) {
	t.Helper()
	parser, err := kong.New(&commands{}, kongOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range visible(parser.Model.Node) {
		names = append(names, c.Name)
	}
	return names
}
