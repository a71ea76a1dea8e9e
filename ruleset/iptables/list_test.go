package iptables_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bpftables/bpftables/ruleset/iptables"
)

// listing is one combination of the options of iptables -L.
type listing struct {
	flags []string
	o     iptables.ListOptions
}

// listings are all combinations of -v, -n, -x and --line-numbers.
func listings() []listing {
	var all []listing
	for bits := range 16 {
		var l listing
		for i, flag := range []string{"-v", "-n", "-x", "--line-numbers"} {
			if bits>>i&1 != 0 {
				l.flags = append(l.flags, flag)
			}
		}
		l.o = iptables.ListOptions{Verbose: bits&1 != 0, Numeric: bits&2 != 0, Exact: bits&4 != 0, LineNumbers: bits&8 != 0}
		all = append(all, l)
	}
	return all
}

// filesOnly asks no name server.
type filesOnly struct{ *iptables.System }

func (f filesOnly) Address(a netip.Addr) (string, bool) {
	if a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return "localhost", true
	}
	return "", false
}

// TestList reads the texts of testdata/list and lists each table with every
// combination of options. Where the real tool can be asked, it must list the same.
func TestList(t *testing.T) {
	if _, err := os.Stat("/etc/services"); err != nil {
		t.Skip("no /etc/services: names of ports cannot be listed")
	}
	paths, _ := filepath.Glob("testdata/list/*.txtar")
	if len(paths) == 0 {
		t.Fatal("no testdata/list")
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(name, func(t *testing.T) { testListings(t, readGolden(t, path)) })
	}
}

func testListings(t *testing.T, g *golden) {
	names := filesOnly{iptables.NewResolver()}
	rs, _, err := iptables.Read(strings.NewReader(g.in), iptables.Options{File: "in", Family: g.family, Resolver: names, Counters: true})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		writeListings(t, g, rs.Tables[0].Name)
	}
	for _, l := range listings() {
		key := strings.Join(append([]string{"-L"}, l.flags...), " ")
		l.o.Family, l.o.Names = g.family, names
		var b strings.Builder
		if err := iptables.List(&b, rs.Tables[0], l.o); err != nil {
			t.Fatal(err)
		}
		want, _ := section(g.archive, key)
		if got := blanks.Replace(b.String()); got != want {
			t.Errorf("%s: %s", key, diff(got, want))
		}
	}
	t.Run("real", func(t *testing.T) {
		haveOracle(t)
		real := realListings(t, g, rs.Tables[0].Name)
		for key, text := range real {
			if want, _ := section(g.archive, key); text != want {
				t.Errorf("the real tool's %s: %s", key, diff(text, want))
			}
		}
	})
}

// blanks makes blanks at line ends visible.
var blanks = strings.NewReplacer(" \n", "␠\n")

func realListings(t *testing.T, g *golden, table string) map[string]string {
	o := newOracle(t, g.family)
	if _, errs, err := o.run(g.in, "-restore", "-c"); err != nil {
		t.Fatal(err, errs)
	}
	all := map[string]string{}
	for _, l := range listings() {
		args := append([]string{"-L"}, l.flags...)
		out, errs, err := o.run("", "", append([]string{"-t", table}, args...)...)
		if err != nil {
			t.Fatal(err, errs)
		}
		all[strings.Join(args, " ")] = blanks.Replace(out)
	}
	return all
}

func writeListings(t *testing.T, g *golden, table string) {
	haveOracle(t)
	real := realListings(t, g, table)
	for _, l := range listings() {
		key := strings.Join(append([]string{"-L"}, l.flags...), " ")
		setSection(g.archive, key, real[key])
	}
	if err := os.WriteFile(g.path, txtar.Format(g.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestListParts lists one chain and one rule.
func TestListParts(t *testing.T) {
	rs, _, err := iptables.Read(strings.NewReader("*filter\n-A INPUT -j ACCEPT\n-A INPUT -j DROP\n-A OUTPUT -j DROP\nCOMMIT\n"),
		iptables.Options{Family: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    iptables.ListOptions
		want string
	}{
		{iptables.ListOptions{Chain: "OUTPUT"}, "Chain OUTPUT (policy ACCEPT)\n" +
			"target     prot opt source               destination         \n" +
			"DROP       0    --  0.0.0.0/0            0.0.0.0/0           \n"},
		{iptables.ListOptions{Chain: "INPUT", Rule: 2}, "DROP       0    --  0.0.0.0/0            0.0.0.0/0           \n"},
		{iptables.ListOptions{Chain: "INPUT", Rule: 3}, ""},
	} {
		c.o.Family = 4
		var b strings.Builder
		if err := iptables.List(&b, rs.Tables[0], c.o); err != nil || b.String() != c.want {
			t.Errorf("%+v: %v:\n%s\nwant\n%s", c.o, err, b.String(), c.want)
		}
	}
	if err := iptables.List(&strings.Builder{}, rs.Tables[0], iptables.ListOptions{Chain: "NONE"}); err == nil {
		t.Error("a chain that is not there is listed")
	}
}

// TestListRules prints tables as commands.
func TestListRules(t *testing.T) {
	rs, _, err := iptables.Read(strings.NewReader("*filter\n:INPUT DROP [1:2]\n:X - [0:0]\n[3:4] -A INPUT -p tcp -j X\nCOMMIT\n"), iptables.Options{Family: 4, Counters: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    iptables.ListRulesOptions
		want string
	}{
		{iptables.ListRulesOptions{}, "-P INPUT DROP\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n-N X\n-A INPUT -p tcp -j X\n"},
		{iptables.ListRulesOptions{Counters: true, Chain: "INPUT"}, "-P INPUT DROP -c 1 2\n-A INPUT -p tcp -c 3 4 -j X\n"},
		{iptables.ListRulesOptions{Chain: "INPUT", Rule: 1}, "-A INPUT -p tcp -j X\n"},
	} {
		var b strings.Builder
		if err := iptables.ListRules(&b, rs.Tables[0], c.o); err != nil || b.String() != c.want {
			t.Errorf("%+v: %v:\n%s\nwant\n%s", c.o, err, b.String(), c.want)
		}
	}
}
