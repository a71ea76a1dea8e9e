package conformance

import (
	"fmt"
	"net/netip"
	"regexp"
	"runtime"
	"strings"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/match/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// RowJudge asks netfilter about the rows of the match tests: it loads the rule of
// a row into a lab and sends its packets for real.
type RowJudge struct {
	labs map[string]*lab.Lab // by family and the way the packets go
}

// Close removes the labs.
func (j *RowJudge) Close() {
	for _, l := range j.labs {
		l.Close()
	}
}

// Judged is what netfilter says of one packet of a row, or why it cannot be asked.
type Judged struct {
	Packet rows.Packet
	Got    pred.Answer
	Count  bool   // netfilter counted the rule
	Unsent string // why it was not asked
}

// Agrees says whether netfilter answers as the row says.
func (g Judged) Agrees() bool { return g.is(g.Packet) }

// Older says whether netfilter answers as the row says of older kernels.
func (g Judged) Older() bool { return g.Packet.Older != nil && g.is(*g.Packet.Older) }

func (g Judged) is(p rows.Packet) bool {
	return g.Got == p.Want && g.Count == (g.Got == pred.Yes || p.Counted)
}

// Judge asks about all packets of a row. refused is netfilter's own error about the
// rule; prints is how it prints the rule.
func (j *RowJudge) Judge(r *rows.Row) (judged []Judged, prints string, refused error, err error) {
	l, err := j.lab(r)
	if err != nil {
		return nil, "", nil, err
	}
	netfilter := lab.Legacy{}
	if err := j.reset(l, r); err != nil {
		return nil, "", nil, err
	}
	text := fmt.Sprintf("*%s\n-A %s\n-A %s %s\nCOMMIT\n", r.Table, r.Chain, r.Chain, r.Rule)
	if err := netfilter.Apply(l.Host(), r.Family, []byte(text)); err != nil {
		if why := notHere[r.Word]; why != "" && r.Refused == "" {
			return unasked(r, why), r.Prints, nil, nil
		}
		return nil, "", err, nil
	}
	before, err := j.counts(l, r)
	if err != nil {
		return nil, "", nil, err
	}
	prints = strings.TrimPrefix(strings.TrimPrefix(before.rule, "-A "+r.Chain), " ")
	for _, p := range r.Packets {
		g := Judged{Packet: p, Unsent: p.Unsent}
		if g.Unsent == "" || brought[g.Unsent] {
			if before, err = j.ask(l, r, &g, before); err != nil {
				return nil, "", nil, fmt.Errorf("%s: %w", p.Pos, err)
			}
		}
		judged = append(judged, g)
	}
	return judged, prints, nil, nil
}

// unasked gives the packets of a row whose rule cannot be loaded.
func unasked(r *rows.Row, why string) []Judged {
	var out []Judged
	for _, p := range r.Packets {
		out = append(out, Judged{Packet: p, Unsent: why})
	}
	return out
}

// reset takes away the rules of the row before, and what tracking remembers.
func (j *RowJudge) reset(l *lab.Lab, r *rows.Row) error {
	var text strings.Builder
	for _, t := range []string{"raw", "mangle", "filter", "security", "nat"} {
		fmt.Fprintf(&text, "*%s\nCOMMIT\n", t)
	}
	if err := (lab.Legacy{}).Apply(l.Host(), r.Family, []byte(text.String())); err != nil {
		return err
	}
	return l.Forget()
}

// lab gives the lab for a row: addresses are either local or not, by its chain.
func (j *RowJudge) lab(r *rows.Row) (*lab.Lab, error) {
	key := fmt.Sprint(r.Family, r.Chain)
	if l := j.labs[key]; l != nil {
		return l, nil
	}
	l, err := lab.New(lab.Options{Interfaces: rowInterfaces})
	if err != nil {
		return nil, err
	}
	if j.labs == nil {
		j.labs = map[string]*lab.Lab{}
	}
	j.labs[key] = l
	return l, nil
}

// rowInterfaces are the names that rows use.
var rowInterfaces = []string{"eth0", "eth1", "eth2", "eth00", "et", "eth", "abcdefghijklmno", "abcdefghijklmn", "abcdefghijklm", "wlan0", "wlan7", "ppp0", "tun0", "a"}

// notHere are words that this judge cannot load rules of: they need a module or
// an object that a lab does not have.
var notHere = map[string]string{
	"ipvs":    "needs IPVS in the kernel",
	"nfacct":  "needs an accounting object",
	"set":     "needs a set",
	"rateest": "needs a rate estimator",
}

// counts are the packets that the rule before, the rule, and the policy behind it
// have seen.
type counts struct {
	reached, matched, passed string
	rule                     string // as printed
}

func (j *RowJudge) counts(l *lab.Lab, r *rows.Row) (counts, error) {
	text, err := lab.Legacy{}.Save(l.Host(), r.Family, true)
	if err != nil {
		return counts{}, err
	}
	s := readSaved(string(text)).tables()[r.Table]
	var c counts
	var rules []int
	for i, line := range s.lines {
		switch {
		case strings.HasPrefix(line, ":"+r.Chain+" "):
			c.passed = s.counters[i]
		case strings.HasPrefix(line, "-A "+r.Chain):
			rules = append(rules, i)
		}
	}
	if len(rules) != 2 {
		return c, fmt.Errorf("%s: %d rules in chain %s of table %s, want 2", r.Rule, len(rules), r.Chain, r.Table)
	}
	c.reached, c.matched, c.rule = s.counters[rules[0]], s.counters[rules[1]], s.lines[rules[1]]
	return c, nil
}

// ask sends one packet and reads the answer off the counters.
func (j *RowJudge) ask(l *lab.Lab, r *rows.Row, g *Judged, before counts) (counts, error) {
	p, why := sendable(l, r, g.Packet.Text)
	if why != "" {
		g.Unsent = why
		return before, nil
	}
	if err := j.prepare(l, r, p); err != nil {
		return before, err
	}
	if brought[g.Unsent] {
		why, err := j.bring(l, r, p)
		if g.Unsent = why; why != "" || err != nil {
			return before, err
		}
		if before, err = j.counts(l, r); err != nil {
			return before, err
		}
	}
	if _, err := l.Send(p); err != nil {
		return before, err
	}
	after, err := j.counts(l, r)
	if err != nil {
		return before, err
	}
	if n := grown(before.reached, after.reached); n != 1 {
		g.Unsent = fmt.Sprintf("%d packets reached the chain, not 1: the kernel drops, joins or answers it", n)
		return after, nil
	}
	g.Count = before.matched != after.matched
	switch {
	case before.passed == after.passed:
		g.Got = pred.Hotdrop
	case g.Count:
		g.Got = pred.Yes
	default:
		g.Got = pred.No
	}
	return after, nil
}

func grown(before, after string) int {
	var b, a int
	fmt.Sscan(before, &b)
	fmt.Sscan(after, &a)
	return a - b
}

// notReal are words of the packet language that only a kernel can bring about.
var notReal = regexp.MustCompile(`(?:^| )(jiffies|decrypted|encrypts|clock|random|realm|ctstatus|ctexpire|ctpackets|ctbytes|ctlabels|ctproto|ctorig|ctrepl|physin|physout|inindex|outindex|nofile)(?: |$)`)

// sendable turns a row's packet into one of the lab, or says why it cannot.
func sendable(l *lab.Lab, r *rows.Row, text string) (*lab.Packet, string) {
	if m := notReal.FindStringSubmatch(text); m != nil {
		return nil, "the lab cannot set " + m[1]
	}
	p, err := lab.Parse(r.Family, text)
	if err != nil {
		return nil, err.Error()
	}
	f := p.Facts
	if int(f.CPU) >= runtime.NumCPU() {
		return nil, "needs more processors"
	}
	hook, _ := tables.HookOf(r.Chain)
	if hook == packet.Output || hook == packet.Postrouting && f.In.Name == "" {
		p.Kind = lab.Raw
		if f.Out.Name == "" {
			f.Out.Name = "eth1"
		}
		return p, ifaceMissing(l, f.Out.Name)
	}
	p.Kind = lab.Frame
	if f.In.Name == "" {
		f.In.Name = "eth0"
		if strings.Contains(r.Rule, "-i ") || strings.Contains(r.Rule, "-i+") {
			return nil, "a packet without an interface cannot be received"
		}
	}
	if f.Sock != nil {
		return nil, "a received packet has no socket"
	}
	if f.Link == nil && strings.Contains(r.Rule, "mac") {
		return nil, "every frame has an Ethernet header"
	}
	return p, ifaceMissing(l, f.In.Name)
}

func ifaceMissing(l *lab.Lab, name string) string {
	for _, n := range append(l.Interfaces(), "lo") {
		if n == name {
			return ""
		}
	}
	return "the lab has no interface " + name
}

// prepare makes the routes that take the packet to the chain, and sets the mark
// that a received packet has.
func (j *RowJudge) prepare(l *lab.Lab, r *rows.Row, p *lab.Packet) error {
	f := p.Facts
	if p.Kind == lab.Frame {
		if err := l.Mark(f.Mark); err != nil {
			return err
		}
	}
	for _, i := range []packet.Iface{f.In, f.Out} {
		if i.Name != "" && i.Name != "lo" && ifaceMissing(l, i.Name) == "" {
			if err := l.Group(i.Name, i.Group); err != nil {
				return err
			}
		}
	}
	dst := f.Dst()
	if !dst.IsGlobalUnicast() || dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return nil
	}
	route := lab.Route{Prefix: netip.PrefixFrom(dst, dst.BitLen()), Via: f.Out.Name}
	switch {
	case r.Chain == "INPUT":
		route.Via = ""
	case r.Chain == "PREROUTING" || route.Via == "lo":
		return nil
	case route.Via == "":
		route.Via = "eth1"
	}
	return l.Route(route)
}
