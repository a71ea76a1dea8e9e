package testrun

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/owners/fence"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/interp"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

var families = []packet.Family{packet.IPv4, packet.IPv6}

// box is a host with rules of two owners.
type box struct {
	*testing.T
	kernel  *Kernel
	engines map[packet.Family]*apply.Engine
}

func newBox(t *testing.T) *box {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	b := &box{T: t, kernel: &Kernel{Dir: t.TempDir()}, engines: map[packet.Family]*apply.Engine{}}
	b.open()
	t.Cleanup(func() {
		b.close()
		if err := b.kernel.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// open makes engines, as a new process does.
func (b *box) open() {
	b.Helper()
	for _, f := range families {
		e, err := apply.Open(f, b.kernel.Open)
		if err != nil {
			b.Fatal(err)
		}
		e.Speak(fence.Dialect{})
		b.engines[f] = e
	}
}

func (b *box) close() {
	b.Helper()
	for _, e := range b.engines {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	}
}

// fence gives the owner fence rules.
func (b *box) fence(text string) error {
	b.Helper()
	wanted, err := fence.Read(strings.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	var changes []apply.Change
	for _, f := range families {
		changes = append(changes, fence.Change(b.engines[f], wanted[f.String()]))
	}
	return apply.Apply(changes...)
}

// iptables gives the owner iptables rules, of both families.
func (b *box) iptables(text string) {
	b.Helper()
	for _, f := range families {
		if err := b.engines[f].Restore(&apply.Request{Text: strings.NewReader(text), File: "test"}); err != nil {
			b.Fatal(err)
		}
	}
}

// argv runs a command line of iptables.
func (b *box) argv(f packet.Family, words ...string) {
	b.Helper()
	a, err := iptables.ParseArgv(words, iptables.Options{Family: f})
	if err == nil {
		err = b.engines[f].Restore(&apply.Request{Argv: a, NoFlush: true, Output: io.Discard})
	}
	if err != nil {
		b.Fatal(err)
	}
}

func (b *box) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// rules are those of all owners.
func (b *box) rules(f packet.Family) *ruleset.Ruleset {
	b.Helper()
	all, err := b.engines[f].All()
	b.must(err)
	return all.Rules
}

// judge compares what the programs say with the interpreter, and gives the ports of packets
// into the host that are accepted.
func (b *box) judge(f packet.Family) string {
	b.Helper()
	rs := b.rules(f)
	var ports []string
	for _, hook := range []packet.Hook{packet.Input, packet.Forward, packet.Output} {
		for port := 1001; port <= 1040; port++ {
			p := b.packet(f, hook, port)
			got, err := b.kernel.Accepts(p)
			b.must(err)
			stops := atHook(rs, p)
			if want := len(stops) == 0 || stops[len(stops)-1].Result.Verdict == interp.Accept; got != want {
				b.Errorf("%s: accepted: %t, by the interpreter: %t", p, got, want)
			}
			if got && hook == packet.Input {
				ports = append(ports, fmt.Sprint(port-1000))
			}
		}
	}
	return strings.Join(ports, " ")
}

// atHook are the stops of a packet at its own hook.
func atHook(rs *ruleset.Ruleset, f *packet.Facts) []interp.Stop {
	f.World.State = nil
	interp.LoadSets(f.World, rs.Sets)
	return slices.DeleteFunc(interp.Walk(rs, f, interp.ByLower), func(s interp.Stop) bool { return s.Hook != f.Hook })
}

func (b *box) packet(f packet.Family, hook packet.Hook, port int) *packet.Facts {
	b.Helper()
	from, to := "192.0.2.1", "198.51.100.1"
	if f == packet.IPv6 {
		from, to = "[2001:db8::1]", "[2001:db8:1::1]"
	}
	devices := map[packet.Hook]string{packet.Input: "in eth0", packet.Forward: "in eth0 out eth1", packet.Output: "out eth1"}
	p, err := packet.Parse(f, fmt.Sprintf("udp %s:5000 > %s:%d %s", from, to, port, devices[hook]))
	b.must(err)
	p.Hook = hook
	return p
}

// expect compares which ports are accepted in both families.
func (b *box) expect(when, want string) {
	b.Helper()
	for _, f := range families {
		if got := b.judge(f); got != want {
			b.Errorf("%s: %s accepts %s, not %s", when, f, got, want)
		}
	}
}

// guard are fence's rules: an early chain that says nothing, and a late one that drops some
// ports whatever iptables says.
func guard(ports ...int) string {
	var out strings.Builder
	for _, f := range families {
		fmt.Fprintf(&out, "%s guard early input -7 accept\n%s guard early udp 1001 continue\n%s guard late input 3 accept\n", f, f, f)
		for _, p := range ports {
			fmt.Fprintf(&out, "%s guard late udp %d drop\n", f, 1000+p)
		}
	}
	return out.String()
}

// allow is a filter that accepts some ports alone.
func allow(ports ...int) string {
	var out strings.Builder
	out.WriteString("*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n")
	for _, p := range ports {
		fmt.Fprintf(&out, "-A INPUT -p udp --dport %d -j ACCEPT\n", 1000+p)
	}
	return out.String() + "COMMIT\n"
}

func TestOwners(t *testing.T) {
	b := newBox(t)
	b.iptables(allow(1, 2, 3))
	b.expect("iptables alone", "1 2 3")
	b.must(b.fence(guard(2)))
	b.expect("both owners", "1 3")
	b.close()
	b.open()
	b.expect("a process later", "1 3")
	b.iptables(allow(2, 3, 4))
	b.expect("iptables has changed its rules", "3 4")
	b.must(b.fence(guard(3)))
	b.expect("fence has changed its rules", "2 4")
	for _, f := range families {
		b.must(b.engines[f].Flush("filter"))
	}
	b.expect("iptables has flushed its rules", "")
	b.iptables(allow(1, 3))
	b.must(b.fence(""))
	b.expect("fence has none", "1 3")
	for _, f := range families {
		b.must(b.engines[f].FlushAll())
		if left := b.kernel.Generations(f); len(left) != 0 {
			t.Errorf("%s: generations %v are left", f, left)
		}
	}
	if got := strings.Fields(b.judge(packet.IPv4)); len(got) != 40 {
		t.Errorf("without rules, %v are accepted", got)
	}
}

// TestFailures lets a change of both families fail at each step: all rules are the old ones,
// or what was announced is completed by the next command.
func TestFailures(t *testing.T) {
	b := newBox(t)
	b.iptables(allow(1, 2, 3))
	b.must(b.fence(guard(1)))
	for _, step := range []string{"load", "record", "install", "installed"} {
		for _, f := range families {
			b.kernel.Fail = f.String() + " " + step
			if err := b.fence(guard(2)); err == nil || !strings.Contains(err.Error(), b.kernel.Fail) {
				t.Errorf("%s: %v", b.kernel.Fail, err)
			}
			b.kernel.Fail = ""
			b.expect(f.String()+" "+step, "2 3")
			if n := b.kernel.Generations(f); len(n) != 1 {
				t.Errorf("%s %s: generations %v", f, step, n)
			}
		}
	}
	b.kernel.Fail = "ipv6 activate"
	if err := b.fence(guard(3)); err == nil {
		t.Error("no error where the second family is not switched")
	}
	b.kernel.Fail = ""
	b.must(b.engines[packet.IPv4].Restore(&apply.Request{Text: strings.NewReader(allow(1, 2, 3)), File: "test"}))
	b.expect("the next command has completed the switch", "1 2")
}

// TestInPlace changes long chains where they are enforced.
func TestInPlace(t *testing.T) {
	b := newBox(t)
	var ports []int
	for p := range 30 {
		ports = append(ports, p+1)
	}
	b.iptables(allow(ports...))
	b.must(b.fence(guard(1)))
	before := b.kernel.Generations(packet.IPv4)
	b.argv(packet.IPv4, "-I", "INPUT", "-p", "udp", "--dport", "1002", "-j", "DROP")
	b.argv(packet.IPv4, "-A", "INPUT", "-p", "udp", "--dport", "1033", "-j", "ACCEPT")
	b.argv(packet.IPv4, "-D", "INPUT", "-p", "udp", "--dport", "1004", "-j", "ACCEPT")
	if after := b.kernel.Generations(packet.IPv4); !slices.Equal(before, after) {
		t.Errorf("generations %v became %v", before, after)
	}
	want := "3 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 33"
	if got := b.judge(packet.IPv4); got != want {
		t.Errorf("accepts %s, not %s", got, want)
	}
}

// TestCounters reads counters of both owners, over generations that one of them makes.
func TestCounters(t *testing.T) {
	b := newBox(t)
	b.iptables(allow(1, 2))
	b.must(b.fence(guard(2, 3)))
	send := func(port, times int) {
		for range times {
			_, err := b.kernel.Accepts(b.packet(packet.IPv4, packet.Input, 1000+port))
			b.must(err)
		}
	}
	send(1, 3)
	send(2, 2)
	b.argv(packet.IPv4, "-A", "INPUT", "-p", "udp", "--dport", "1009", "-j", "ACCEPT")
	send(2, 4)
	send(7, 1)
	counted := func(table, chain string) (out []uint64) {
		for _, r := range b.rules(packet.IPv4).Table(table).Chain(chain).Rules {
			out = append(out, r.Counters.Packets)
		}
		return out
	}
	for _, c := range []struct {
		table, chain string
		want         []uint64
	}{{"filter", "INPUT", []uint64{3, 6, 0}}, {"fence/guard", "early", []uint64{3}}, {"fence/guard", "late", []uint64{6, 0}}} {
		if got := counted(c.table, c.chain); !slices.Equal(got, c.want) {
			t.Errorf("%s %s counted %v, not %v", c.table, c.chain, got, c.want)
		}
	}
}

// TestStatus asks for the status, loses something and has it mended.
func TestStatus(t *testing.T) {
	b := newBox(t)
	b.iptables(allow(1))
	b.must(b.fence(guard(2)))
	e := b.engines[packet.IPv6]
	st, err := e.Status()
	b.must(err)
	if want := []string{"INPUT", "INPUT", "INPUT", "FORWARD", "OUTPUT"}; !slices.Equal(st.Usage.Hooks, want) || st.Usage.Programs != len(want) || len(st.Tables) != 2 {
		t.Errorf("status %+v", st)
	}
	var order []string
	for _, base := range st.Order {
		order = append(order, base.Hook+" "+base.String())
	}
	if want := []string{"INPUT -7 fence/guard early", "INPUT 0 filter", "INPUT 3 fence/guard late", "FORWARD 0 filter", "OUTPUT 0 filter"}; !slices.Equal(order, want) {
		t.Errorf("order %q", order)
	}
	b.kernel.Lose(packet.IPv6, "a link")
	b.must(e.Mend(func(change func() error) error { return change() }))
	if n := b.kernel.Mended(packet.IPv6); n != 1 {
		t.Errorf("mended %d times", n)
	}
	text := "*filter\n-A INPUT -j LOG\nCOMMIT\n"
	if err := e.Restore(&apply.Request{Text: strings.NewReader(text), File: "test"}); err == nil || !strings.Contains(err.Error(), "a test run changes nothing") {
		t.Errorf("LOG: %v", err)
	}
	b.expect("LOG was refused", "1")
}
