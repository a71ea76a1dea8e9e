package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/engine/serve/client"
)

const unitDir = "../../systemd"

func TestUnits(t *testing.T) {
	socket, err := os.ReadFile(filepath.Join(unitDir, "bpftables.socket"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"ListenSequentialPacket=" + client.DefaultSocket, "SocketMode=0600"} {
		if !strings.Contains(string(socket), "\n"+line+"\n") {
			t.Errorf("bpftables.socket does not say %s", line)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	files := map[string]string{"bpftables.socket": string(socket)}
	args := []string{"verify", "--man=no", filepath.Join(dir, "bpftables.socket")}
	for _, name := range []string{"bpftables.service", "bpftables-restore.service"} {
		service, err := os.ReadFile(filepath.Join(unitDir, name+".in"))
		if err != nil {
			t.Fatal(err)
		}
		// Any program that is there.
		files[name] = strings.ReplaceAll(string(service), "@SBINDIR@/bpftables", "/bin/true")
		args = append(args, filepath.Join(dir, name))
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	verify := exec.Command(analyze, args...)
	if out, err := verify.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
