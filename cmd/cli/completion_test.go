package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// completion is what is printed for a shell, in a file.
func completion(t *testing.T, shell string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := Run([]string{"completion", shell}, nil, &out, &errs); code != exitOK {
		t.Fatalf("%s: %d %s", shell, code, &errs)
	}
	file := filepath.Join(t.TempDir(), "_bpftables")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestCompletions lets the shells complete: commands, flags, and what flags may be.
func TestCompletions(t *testing.T) {
	bash := func(file string, words ...string) *exec.Cmd {
		script := `. "$1"; shift; COMP_WORDS=(bpftables "$@"); COMP_CWORD=$#; _bpftables; printf '%s\n' "${COMPREPLY[@]}"`
		return exec.Command("bash", append([]string{"-c", script, "bash", file}, words...)...)
	}
	fish := func(file string, words ...string) *exec.Cmd {
		return exec.Command("fish", "--no-config", "-c", `source $argv[1]; complete -C "bpftables $argv[2..]"`, file, strings.Join(words, " "))
	}
	for shell, run := range map[string]func(file string, words ...string) *exec.Cmd{"bash": bash, "fish": fish} {
		t.Run(shell, func(t *testing.T) {
			file := completion(t, shell)
			needShell(t, shell)
			for words, want := range map[string]string{
				"install":                    "install-compat",
				"restore --str":              "--strict",
				"restore --early xd":         "xdp",
				"install-compat --dialect n": "nft",
				"list -t man":                "mangle",
			} {
				out, err := run(file, strings.Fields(words)...).CombinedOutput()
				first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\t")
				if err != nil || first != want {
					t.Errorf("%q is completed to %q, want %q (%v)", words, out, want, err)
				}
			}
		})
	}
}

// TestZshCompletion lets zsh read the script, and looks for every command and flag.
func TestZshCompletion(t *testing.T) {
	file := completion(t, "zsh")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(commandNames(t), "--strict", "(auto xdp tcx exact off)", "{-t,--table}") {
		if !strings.Contains(string(text), want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	needShell(t, "zsh")
	if out, err := exec.Command("zsh", "-n", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// needShell skips a test where a shell is missing, or fails it where everything has to be there.
func needShell(t *testing.T, shell string) {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}
