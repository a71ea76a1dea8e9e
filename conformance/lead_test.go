package conformance_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/flood"
	"github.com/bpftables/bpftables/conformance/gen/shapes"
)

// leadRules are those of a router whose first rules are also code, and enough others that they
// are looked up.
func leadRules() string {
	var b strings.Builder
	b.WriteString("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n")
	b.WriteString("-A FORWARD -i lo -j ACCEPT\n-A FORWARD -o out0\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n")
	b.WriteString("-A FORWARD -m conntrack --ctstate INVALID -j DROP\n")
	for i := 1; i <= 40; i++ {
		fmt.Fprintf(&b, "-A FORWARD -s 198.18.0.%d/32 -p udp -m udp --dport %d -j ACCEPT\n", i, 1000+i)
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// leadChanges are changes before, in and behind the lead, each made where the lead is whole
// and behind the one before it.
var leadChanges = []string{
	"-I FORWARD 1 -s 198.18.0.7/32 -j DROP",
	"-D FORWARD 1",
	"-I FORWARD 3 -p udp -m udp --dport 1007 -j DROP",
	"-I FORWARD 4 -p udp -m udp --sport 4001 -j DROP",
	"-I FORWARD 5 -s 198.18.0.7/32 -j DROP",
	"-D FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
	"-D FORWARD -o out0",
	"-R FORWARD 3 -m conntrack --ctstate RELATED,ESTABLISHED -j DROP",
	"-R FORWARD 4 -m conntrack --ctstate INVALID,NEW -j DROP",
	"-I FORWARD 1 -o out0 -j ACCEPT",
	"-A FORWARD -j ACCEPT",
	"-P FORWARD ACCEPT",
	"-Z FORWARD",
	"-Z FORWARD 3",
}

// TestLead: the first rules of a chain, which are code and rows at the same time, are what
// netfilter does with them after every change in place, with the same counters.
func TestLead(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	ours := newRouter(t, []string{binary, "restore"}, []string{binary, "iptables"}, []string{binary, "save", "-c"})
	t.Cleanup(func() { ours.must("flush", binary, "flush", "--all") })
	theirs := newRouter(t, []string{"iptables-legacy-restore"}, []string{"iptables-legacy"}, []string{"iptables-legacy-save", "-c"})
	for _, r := range []*router{ours, theirs} {
		r.must(leadRules(), r.restore...)
		r.begin()
	}
	for i, first := range leadChanges {
		for _, second := range leadChanges[i:min(i+4, len(leadChanges))] {
			t.Run(first+" "+second, func(t *testing.T) {
				for _, r := range []*router{ours, theirs} {
					r.T = t
					r.must(leadRules(), r.restore...)
				}
				for _, change := range []string{"", first, second} {
					got, want := ours.after(change), theirs.after(change)
					if got != want {
						t.Fatalf("after %q: got\n%s\nwant\n%s", change, got, want)
					}
				}
			})
		}
	}
}

// router is a host that forwards, and the commands that change its rules.
type router struct {
	*testing.T
	host                  *flood.Host
	restore, change, save []string
	feeder                *flood.Feeder
}

func newRouter(t *testing.T, restore, change, save []string) *router {
	host, err := flood.NewHost("lead-" + strings.TrimPrefix(restore[0][strings.LastIndex(restore[0], "/")+1:], "iptables-"))
	if err != nil {
		t.Fatal(err)
	}
	r := &router{T: t, host: host, restore: restore, change: change, save: save}
	t.Cleanup(func() {
		if err := host.Remove(); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []func() error{host.Narrow, host.Route} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// flows are the connections that packets belong to.
const flows = 3

// begin begins connections, of which all but the first one are answered.
func (r *router) begin() {
	var there, back [][]byte
	for port := range uint16(flows) {
		h := shapes.Header{Src: netip.MustParseAddr("198.18.0.7"), Dst: flood.BeyondAddr, Proto: 17, SrcPort: 4000 + port, DstPort: 1007}
		there = append(there, r.packet(h))
		back = append(back, r.packet(shapes.Header{Src: h.Dst, Dst: h.Src, Proto: h.Proto, SrcPort: h.DstPort, DstPort: h.SrcPort}))
	}
	var err error
	if r.feeder, err = r.host.NewFeeder(flood.Options{Packets: there, Wire: true, CPU: -1}); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { r.feeder.Close() })
	r.feed()
	for _, answer := range back[1:] {
		if err := r.host.Answer(answer); err != nil {
			r.Fatal(err)
		}
	}
}

func (r *router) packet(h shapes.Header) []byte {
	raw, err := h.Packet(50)
	if err != nil {
		r.Fatal(err)
	}
	return raw
}

func (r *router) feed() {
	if _, err := r.feeder.Feed(flows); err != nil {
		r.Fatal(err)
	}
}

// after makes a change, if it is one, and gives what the rules have counted of some packets
// then.
func (r *router) after(change string) string {
	if change != "" {
		if err := r.host.Command(slices.Concat(r.change, strings.Fields(change))...); err != nil {
			return "refused"
		}
	}
	r.feed()
	var kept []string
	for line := range strings.Lines(string(r.must("", r.save...))) {
		if strings.Contains(line, "FORWARD") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func (r *router) must(stdin string, args ...string) (out []byte) {
	r.Helper()
	err := r.host.Do(func() (err error) {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env, cmd.Stdin = append(os.Environ(), "BPFTABLES_NO_SERVE=1"), strings.NewReader(stdin)
		if out, err = cmd.Output(); err != nil {
			err = fmt.Errorf("%v: %w", args, err)
		}
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	return out
}
