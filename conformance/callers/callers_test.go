package callers

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bin has our programs, of this tree.
var bin string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	if os.Geteuid() != 0 {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "callers-bin")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-o", dir+"/", "../../cmd/bpftables", "../../cmd/xtables-bpf-multi")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		panic(string(out))
	}
	bin = dir
	return m.Run()
}

// setup is a host for a set of programs.
func setup(t *testing.T, p Programs, env ...string) Setup {
	t.Helper()
	laid, err := filepath.Abs("../../bin/callers")
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(filepath.Join(laid, "root"))
	switch {
	case os.Geteuid() == 0 && err == nil:
	case os.Getenv("REQUIRE_KERNEL") != "":
		t.Fatal("needs root, and what scripts/callers lays out")
	default:
		t.Skip("needs root, and what scripts/callers lays out")
	}
	return Setup{Programs: p, Bin: bin, Callers: laid, Env: env}
}

var long = flag.Bool("long", false, "all callers, not those alone that are played soon")

// scenarios are played by every set of programs; sizes are small here, and large where time is
// measured. The first are always played, the others with -long.
var scenarios = []string{
	"docker", "kube:5", "commands:small", "netfilter-persistent", "wg-quick", "iptables-apply", "ferm", "kube:50", "portmap",
	"fail2ban", "fail2ban-recent", "firewalld:0", "firewalld:1", "libvirt", "netavark", "shorewall", "tailscale", "ufw", "commands:ufw", "commands:docker", "commands:firewalld",
}

// always is how many scenarios are always played.
const always = 5

// known are scenarios in which callers see something else of ours for now, with the reason.
var known = map[string]string{
	"firewalld:1": "tables whose rules ask a set of ipset are left to netfilter, where each of hundreds of commands makes a generation: D-Bus may wait too long (25 s)",
}

// TestCallers lets callers run on netfilter's programs and on ours, alone and beside a server: they
// see the same, and leave the same rules.
func TestCallers(t *testing.T) {
	chosen := scenarios
	if !*long {
		chosen = chosen[:always]
	}
	for _, scenario := range chosen {
		t.Run(strings.ReplaceAll(scenario, ":", "-"), func(t *testing.T) {
			want := played(t, setup(t, Legacy), scenario)
			for _, p := range []Programs{Ours, Served} {
				t.Run(string(p), func(t *testing.T) {
					got := played(t, setup(t, p), scenario)
					if why := known[scenario]; why != "" && !slices.Equal(got, want) {
						t.Skipf("known: %s", why)
					}
					compare(t, got, want)
				})
			}
		})
	}
}

// TestCallersNFT does so in the words of iptables-nft.
func TestCallersNFT(t *testing.T) {
	for _, scenario := range []string{"docker", "kube:5"} {
		t.Run(strings.ReplaceAll(scenario, ":", "-"), func(t *testing.T) {
			compare(t, played(t, setup(t, Ours, "DIALECT=nft"), scenario), played(t, setup(t, NFT), scenario))
		})
	}
}

// played gives what a scenario printed, by its commands and steps.
func played(t *testing.T, s Setup, scenario string) []string {
	t.Helper()
	out, err := Play(s, scenario)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for line := range strings.Lines(normal(out)) {
		if strings.HasPrefix(line, "$ ") || strings.HasPrefix(line, "## ") || parts == nil {
			parts = append(parts, "")
		}
		parts[len(parts)-1] += line
	}
	for i, p := range parts {
		if strings.HasPrefix(p, "## ") {
			parts[i] = tables(p)
		}
	}
	return parts
}

// What differs between two runs of the same programs.
var chance = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`(?m)^# (Generated|Completed) .*\n`), ""},
	{regexp.MustCompile(`\[\d+:\d+\]`), "[]"},
	{regexp.MustCompile(`(?m)^ *\d+[KMG]? +\d+[KMG]? `), " "}, // counters of -L -v
	{regexp.MustCompile(`\(policy (\w+) \d+[KMG]? packets, \d+[KMG]? bytes\)`), "(policy $1)"},
	{regexp.MustCompile(`\.\d{8}_\d{6}'`), "'"}, // ufw's copies of files
	{regexp.MustCompile(`(last_seen:|oldest_pkt: \d+) \d+`), "$1"},
	{regexp.MustCompile(` initval 0x[0-9a-f]+`), ""},
	{regexp.MustCompile(`(?m)^[-0-9]{10} [:,0-9]{12} `), ""}, // fail2ban's messages
	{regexp.MustCompile(`\[\d+\]: `), "[]: "},
	{regexp.MustCompile(`\w{3} \w{3} +\d+ [\d:]{8} UTC \d{4}`), "then"},
	{regexp.MustCompile(`sha-([lr])h-[0-9a-f]{20}`), "sha-${1}h"}, // shorewall's marks of its versions
}

func normal(text string) string {
	for _, c := range chance {
		text = c.re.ReplaceAllString(text, c.to)
	}
	return text
}

// tables puts the tables of each program's text into one order, as iptables-legacy-save prints that
// first which was used last; tables in which nothing ever was are left out.
func tables(step string) string {
	name, text, _ := strings.Cut(step, "\n")
	parts := slices.DeleteFunc(strings.SplitAfter(text, "COMMIT\n"), untouched)
	slices.Sort(parts)
	return name + "\n" + strings.Join(parts, "")
}

var used = regexp.MustCompile(`(?m)^(-A|:\S+ (DROP|-)|create|add)`)

func untouched(table string) bool { return !used.MatchString(table) }

// compare wants the same of two runs.
func compare(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g == w {
			continue
		}
		gFirst, _, _ := strings.Cut(g, "\n")
		if wFirst, _, _ := strings.Cut(w, "\n"); gFirst != wFirst {
			t.Fatalf("the callers part: got\n%s\nwant\n%s", g, w)
		}
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}
