package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestShort runs everything once; the numbers mean nothing then.
func TestShort(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "bpftables")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/bpftables").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	page := filepath.Join(dir, "page.md")
	if err := run(program, small, page); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| 10 | drop | yes |", "\n| 200 | - | - |", "- packets, N <= 10: at most 1.15 of iptables-legacy: "} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
}

func TestRules(t *testing.T) {
	text := load{n: 2, accept: true, conntrack: true}.text()
	const want = `*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -s 198.18.0.1/32 -p udp -m udp --dport 1025 -j ACCEPT
-A INPUT -s 198.18.0.2/32 -p udp -m udp --dport 1026 -j ACCEPT
COMMIT
`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestLimit(t *testing.T) {
	s := full
	if err := s.limit("1,10"); err != nil || len(s.rules) != 2 || s.restores != nil {
		t.Errorf("limit: %v, %+v", err, s)
	}
	for _, list := range []string{"0", "x", "1,"} {
		if err := s.limit(list); err == nil {
			t.Errorf("limit(%q) is accepted", list)
		}
	}
}
