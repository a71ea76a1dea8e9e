package match

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// connbytesKind is -m connbytes (net/netfilter/xt_connbytes.c).
var connbytesKind = &ruleset.MatchKind{
	Name:     "connbytes",
	Families: ruleset.Both,
	Doc:      "how much the connection has carried so far",
	Options: []ruleset.Option{
		{Name: "connbytes", NArgs: 1, Negate: true, Help: "from[:to]: at least, and at most if given"},
		{Name: "connbytes-dir", NArgs: 1, Help: "what is counted: original, reply or both"},
		{Name: "connbytes-mode", NArgs: 1, Help: "packets, bytes or avgpkt (bytes of a packet on average)"},
	},
	New: func() ruleset.MatchBuilder { return &connbytes{} },
}

// The words for directions and measures, as the kernel numbers them.
var (
	connbytesDirs  = []string{"original", "reply", "both"}
	connbytesModes = []string{"packets", "bytes", "avgpkt"}
)

// connbytes is -m connbytes. from above to says that the range is negated: this is
// how the kernel has it, and why the negation of a range of one is lost.
type connbytes struct {
	given
	from, to  uint64
	dir, mode string
}

// Set takes one option.
func (m *connbytes) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	switch option {
	case "connbytes":
		return m.setRange(negate, args[0])
	case "connbytes-dir":
		m.dir = args[0]
		return oneOf(option, args[0], connbytesDirs...)
	}
	m.mode = args[0]
	return oneOf(option, args[0], connbytesModes...)
}

// oneOf refuses an argument that is none of the words.
func oneOf(option, arg string, words ...string) error {
	if slices.Contains(words, arg) {
		return nil
	}
	return ruleset.InWords(fmt.Errorf("--%s: %q is not one of %s", option, arg, strings.Join(words, ", ")), "Unknown --%s `%s'", option, arg)
}

func (m *connbytes) setRange(negate bool, arg string) error {
	v, n, err := numberRange("connbytes", arg, math.MaxUint64)
	if n == 1 {
		v[1] = math.MaxUint64
	}
	if err == nil && v[1] < v[0] {
		return ruleset.InWords(fmt.Errorf("--connbytes: the range %s runs backwards", arg), "%d should be less than %d", v[0], v[1])
	}
	m.from, m.to = v[0], v[1]
	if negate {
		m.from, m.to = m.to, m.from
	}
	return err
}

// Done is called after the last option.
func (m *connbytes) Done(*ruleset.Env) error {
	return m.need("connbytes", "connbytes-dir", "connbytes-mode")
}

// Match gives the match itself.
func (m *connbytes) Match() ruleset.Match { return m }

// Word is "connbytes".
func (m *connbytes) Word() string { return "connbytes" }

// NeedsConntrack says that the kernel's connection tracking has to run:
// connbytes_mt_check() calls nf_ct_netns_get().
func (m *connbytes) NeedsConntrack() bool { return true }

// TrackingKeeps says that it turns the counters of connections on.
func (m *connbytes) TrackingKeeps() pred.Tracking { return pred.TracksCounters }

// Args prints as connbytes_save() of libxt_connbytes.c.
func (m *connbytes) Args() []string {
	args := append([]string{"-m", "connbytes"}, bang(m.from > m.to)...)
	from, to := min(m.from, m.to), max(m.from, m.to)
	text := fmt.Sprint(from)
	if to != 0 && to < math.MaxUint64 {
		text += ":" + fmt.Sprint(to)
	}
	return append(args, "--connbytes", text, "--connbytes-mode", m.mode, "--connbytes-dir", m.dir)
}

// ExactArgs has an upper end of 0, too.
func (m *connbytes) ExactArgs() []string {
	if m.from != 0 || m.to != 0 {
		return nil
	}
	return []string{"-m", "connbytes", "--connbytes", "0:0", "--connbytes-mode", m.mode, "--connbytes-dir", m.dir}
}

// Check refuses nothing.
func (m *connbytes) Check(*ruleset.Place) error { return nil }

// Eval is connbytes_mt().
func (m *connbytes) Eval(f *packet.Facts) pred.Answer {
	if f.Conn == nil || f.Conn.Carried == nil {
		return pred.No
	}
	original, reply := f.Conn.Carried[0], f.Conn.Carried[1]
	var n packet.Carried
	switch m.dir {
	case "original":
		n = original
	case "reply":
		n = reply
	default:
		n = packet.Carried{Packets: original.Packets + reply.Packets, Bytes: original.Bytes + reply.Bytes}
	}
	what := n.Packets
	switch {
	case m.mode == "bytes":
		what = n.Bytes
	case m.mode == "avgpkt" && n.Packets != 0:
		what = n.Bytes / n.Packets
	}
	if m.from > m.to {
		return pred.Bool(what < m.to || what > m.from)
	}
	return pred.Bool(m.from <= what && what <= m.to)
}

// Lower gives the same in predicates.
func (m *connbytes) Lower(*ruleset.Place) pred.Pred {
	return pred.ConnCount{
		Of:   pred.ConnMeasure(slices.Index(connbytesModes, m.mode)),
		Dir:  pred.ConnDir(slices.Index(connbytesDirs, m.dir)),
		From: m.from, To: m.to,
	}
}
