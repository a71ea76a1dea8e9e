package commands

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/engine/serve/client"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestWords gives command lines to the programs of iptables and to ours: callers read what
// they print, errors too.
func TestWords(t *testing.T) {
	program := prepare(t)
	t.Run("alone", func(t *testing.T) { testWords(t, program, families) })
	serve(t, program)
	t.Run("served", func(t *testing.T) {
		served := newTalk(t, links(t, program), "iptables", "nft")
		served.env = append(served.env, client.DebugEnv+"=1")
		if got, want := served.run("$I --version"), `0 out="iptables v1.8.9 (nf_tables)\n" err=""`; got != want {
			t.Fatalf("got %s\nwant %s", got, want)
		}
		testWords(t, program, families[:1])
	})
}

func testWords(t *testing.T, program string, families []packet.Family) {
	text, err := os.ReadFile("testdata/words.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, dialect := range []string{"legacy", "nft"} {
		for _, f := range families {
			family := map[packet.Family]string{packet.IPv4: "iptables", packet.IPv6: "ip6tables"}[f]
			t.Run(family+" "+dialect, func(t *testing.T) {
				real, ours := newTalk(t, "", family, dialect), newTalk(t, links(t, program), family, dialect)
				for _, line := range strings.Split(string(text), "\n") {
					if line = of(line, family, dialect); line == "" {
						continue
					}
					if want, got := real.run(line), ours.run(line); got != want {
						t.Errorf("%s\n got %s\nwant %s", line, got, want)
					}
				}
			})
		}
	}
}

// TestTablesRead pins a difference of docs/differences.md: to read a table of iptables-legacy makes it.
func TestTablesRead(t *testing.T) {
	program := prepare(t)
	const line = "$I -t raw -S >/dev/null; $S | grep '^.raw'; cat /proc/net/ip_tables_names"
	if got, want := newTalk(t, "", "iptables", "legacy").run(line), `0 out="*raw\nraw\n" err=""`; got != want {
		t.Errorf("netfilter: got %s, want %s", got, want)
	}
	if got, want := newTalk(t, links(t, program), "iptables", "legacy").run(line), `0 out="" err=""`; got != want {
		t.Errorf("ours: got %s, want %s", got, want)
	}
}

// of gives the line that a row has for a family and dialect; "": none.
func of(row, family, dialect string) string {
	if strings.HasPrefix(row, "#") {
		return ""
	}
	for _, d := range []string{"legacy", "nft"} {
		if rest, ok := strings.CutPrefix(row, d+":"); ok {
			if d != dialect {
				return ""
			}
			row = rest
		}
	}
	if family == "ip6tables" {
		row = addresses.Replace(row)
	}
	return strings.TrimSpace(row)
}

// addresses makes rows for IPv6 of those for IPv4.
var addresses = strings.NewReplacer("192.0.2.4/32", "2001:db8::4/128", "192.0.2.4", "2001:db8::4", "192.0.2.5", "2001:db8::5",
	"-p icmp --icmp-type", "-p icmpv6 --icmpv6-type", "192.0.2.0/77", "2001:db8::/177", " -s :: ", " -s 192.0.2.4 ", " -6 ", " -4 ")

// links makes links of the names of iptables to our program, and gives their directory.
func links(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	multi := filepath.Join(filepath.Dir(program), "xtables-bpf-multi")
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, dialect := range []string{"", "-legacy", "-nft"} {
			for _, kind := range []string{"", "-save", "-restore"} {
				if err := os.Symlink(multi, filepath.Join(dir, family+dialect+kind)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := os.Symlink(multi, filepath.Join(dir, "iptables-xml")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// talk is a namespace in which lines are run.
type talk struct {
	*testing.T
	lab *lab.Lab
	env []string
}

func newTalk(t *testing.T, dir, family, dialect string) *talk {
	t.Helper()
	l, err := lab.New(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	env := append(os.Environ(), "I="+family+"-"+dialect, "R="+family+"-"+dialect+"-restore", "S="+family+"-"+dialect+"-save")
	if dir != "" {
		env = append(env, "PATH="+dir+":"+os.Getenv("PATH"))
	}
	return &talk{t, l, env}
}

// stamp is the time in the comments of texts.
var stamp = regexp.MustCompile(` on \w{3} \w{3} +\d+ [\d:]{8} \d{4}`)

// run gives the exit code and both outputs of a line.
func (w *talk) run(line string) string {
	w.Helper()
	cmd := exec.Command("ip", "netns", "exec", w.lab.Host(), "sh", "-c", line)
	cmd.Env = w.env
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.Fatal(err)
	}
	return fmt.Sprintf("%d out=%q err=%q", cmd.ProcessState.ExitCode(), stamp.ReplaceAllString(out.String(), ""), said.String())
}
