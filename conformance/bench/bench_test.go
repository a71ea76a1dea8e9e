package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestMain lets the test program be the two ends of the service.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		exit(play(role))
	}
	os.Exit(m.Run())
}

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
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/bpftables", "./cmd/xtables-bpf-multi")
	build.Dir = "../.." // of another module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	b := &bench{program: program, size: small, progress: t.Output(), cpu: runtime.NumCPU() - 1}
	if err := b.run(nil, dir); err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		for _, plot := range part.plots {
			if text, err := os.ReadFile(filepath.Join(dir, "plots", plot.file)); err != nil || !strings.Contains(string(text), "</svg>") {
				t.Errorf("%s: %v", plot.file, err)
			}
		}
	}
	checkPage(t, filepath.Join(dir, "benchmarks.md"))
	again, err := readResults(dir)
	if err != nil || len(again) != len(parts) {
		t.Errorf("%d parts read back: %v", len(again), err)
	}
}

func checkPage(t *testing.T, file string) {
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"| last rule | 40 | ", "| fw IPv6 | 10 | ", "| conntrack first | 18 | ", "| established | 15 | ", "| save | 40 | "}
	for _, part := range parts {
		want = append(want, "\n## "+part.title+"\n")
	}
	for _, w := range want {
		if !strings.Contains(string(page), w) {
			t.Errorf("the page lacks %q:\n%s", w, page)
		}
	}
}

func TestRules(t *testing.T) {
	r := newRules(shapes.Same, packet.IPv4, 2, "ACCEPT")
	r.Before = established
	const want = `*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -s 198.18.0.1/32 -p udp -m udp --dport 1024 -j ACCEPT
-A INPUT -s 198.18.0.2/32 -p udp -m udp --dport 1025 -j ACCEPT
COMMIT
`
	if text := r.text(); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if r.nftSet() != "" {
		t.Error("one set cannot accept and track")
	}
}

// TestExpected: two of three packets are for the first rule, and the list of three has
// been sent twice and a third time up to its second packet.
func TestExpected(t *testing.T) {
	r := newRules(shapes.Same, packet.IPv4, 3)
	tr := r.last()
	one := r.last().headers[0]
	one.Src = r.Rules[0].Src.Addr()
	one.DstPort = r.Rules[0].DstPorts.Low
	tr.headers = append(tr.headers, one, one)
	got := r.expected(tr, 8)
	for i, want := range []uint64{5, 0, 3, 0} {
		if got[i] != want {
			t.Errorf("rule %d: %d, want %d", i, got[i], want)
		}
	}
}

func TestCounters(t *testing.T) {
	got, err := counters("*filter\n:INPUT ACCEPT [7:8]\n:other - [9:9]\n[1:2] -A INPUT -j x\n[5:5] -A other -j DROP\n[3:4] -A INPUT -j DROP\n", "INPUT")
	if err != nil || len(got) != 3 || got[0] != 1 || got[1] != 3 || got[2] != 7 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestTargets: a row that was not measured is never met in silence.
func TestTargets(t *testing.T) {
	r := &result{}
	for i, n := range []int{10, 100, 1000} {
		row := r.add("acl", n)
		row.Cells[ours], row.Cells[oursTen] = cell{Time: time.Duration(100 + 5*i)}, cell{Time: 100}
	}
	t.Run("met", func(t *testing.T) {
		text, met, known := growing{what: []string{"acl"}, most: 1.15, upTo: 1000}.judge(r)
		if !met || !known || !strings.Contains(text, "worst: 1.10, acl, N = 1000") {
			t.Error(text, met, known)
		}
	})
	t.Run("missed", func(t *testing.T) {
		if text, met, _ := (growing{what: []string{"acl"}, most: 1.05, upTo: 1000}).judge(r); met {
			t.Error(text)
		}
	})
	t.Run("not measured", func(t *testing.T) {
		r.add("acl", 10000).Cells[ours] = cell{Note: "not available"}
		if text, met, known := (growing{what: []string{"acl"}, most: 1.15, upTo: 10000}).judge(r); met || !known {
			t.Error(text)
		}
		if _, _, known := (growing{what: []string{"acl"}, most: 2, upTo: 10}).judge(nil); known {
			t.Error("nothing is known of a part that was not measured")
		}
	})
	t.Run("net of the floor", func(t *testing.T) {
		row := r.add("wire", 1)
		row.Cells[empty], row.Cells[legacy], row.Cells[early] = cell{Time: 200}, cell{Time: 1000}, cell{Time: 400}
		if v := netEarly.value(row); v != 4 {
			t.Error(v)
		}
	})
}

func TestChoose(t *testing.T) {
	if all, err := choose(nil); err != nil || len(all) != len(parts) {
		t.Errorf("%d, %v", len(all), err)
	}
	if some, err := choose([]string{"loads", "wire"}); err != nil || len(some) != 2 {
		t.Errorf("%d, %v", len(some), err)
	}
	if _, err := choose([]string{"speed"}); err == nil {
		t.Error("an unknown part is accepted")
	}
}
