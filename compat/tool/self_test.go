package tool

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestNotOurselves looks for tools where programs of ours stand in their place.
func TestNotOurselves(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "../../cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	names := filepath.Join(dir, "names")
	if err := os.Mkdir(names, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"iptables-legacy", "iptables-legacy-save", "iptables-legacy-restore"} {
		if err := os.Link(filepath.Join(dir, "xtables-bpf-multi"), filepath.Join(names, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore"} {
		if err := os.Symlink(filepath.Join(dir, "bpftables"), filepath.Join(names, name)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := FindExact(packet.IPv4, []string{"PATH=" + names + ":/usr/sbin"})
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(found.Path()) == names {
		t.Errorf("%s is ours", found.Path())
	}
}
