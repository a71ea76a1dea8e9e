package match

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// conntrackKind is -m conntrack, revision 3 (net/netfilter/xt_conntrack.c).
var conntrackKind = &ruleset.MatchKind{
	Name:     "conntrack",
	Families: ruleset.Both,
	Doc:      "the connection of the packet: state, addresses, ports, status, lifetime, direction",
	Options: []ruleset.Option{
		{Name: "ctstate", NArgs: 1, Negate: true, Help: "state: INVALID, NEW, ESTABLISHED, RELATED, UNTRACKED, SNAT or DNAT, separated by commas"},
		{Name: "ctproto", NArgs: 1, Negate: true, Help: "protocol of the connection"},
		{Name: "ctorigsrc", NArgs: 1, Negate: true, Help: "source address of the original direction, with or without mask"},
		{Name: "ctorigdst", NArgs: 1, Negate: true, Help: "destination address of the original direction"},
		{Name: "ctreplsrc", NArgs: 1, Negate: true, Help: "source address of the reply direction"},
		{Name: "ctrepldst", NArgs: 1, Negate: true, Help: "destination address of the reply direction"},
		{Name: "ctorigsrcport", NArgs: 1, Negate: true, Help: "source port of the original direction, or a range lo:hi"},
		{Name: "ctorigdstport", NArgs: 1, Negate: true, Help: "destination port of the original direction"},
		{Name: "ctreplsrcport", NArgs: 1, Negate: true, Help: "source port of the reply direction"},
		{Name: "ctrepldstport", NArgs: 1, Negate: true, Help: "destination port of the reply direction"},
		{Name: "ctstatus", NArgs: 1, Negate: true, Help: "status: NONE, EXPECTED, SEEN_REPLY, ASSURED or CONFIRMED, separated by commas"},
		{Name: "ctexpire", NArgs: 1, Negate: true, Help: "seconds that the connection has left to live, or a range lo:hi"},
		{Name: "ctdir", NArgs: 1, Help: "direction of the packet: ORIGINAL or REPLY"},
	},
	New: func() ruleset.MatchBuilder { return &conntrack{} },
}

// conntrack is -m conntrack. Each part counts only if its option was given; negate
// is keyed by option.
type conntrack struct {
	given
	negate map[string]bool
	state  uint32
	status uint32
	proto  uint8
	addrs  [4]hostMask // by ctSides
	ports  [4][2]uint16
	expire [2]uint32
	reply  bool
	family packet.Family
}

// ctSide is one of the four ends that a connection has in the two directions.
type ctSide struct {
	option string
	addr   pred.AddrField
	port   pred.Field
	tuple  func(c *packet.Conn) (netip.Addr, uint16)
}

var ctSides = [4]ctSide{
	{"ctorigsrc", pred.AddrCtOrigSrc, pred.FieldCtOrigSrcPort, func(c *packet.Conn) (netip.Addr, uint16) { return c.Orig.Src, c.Orig.SrcPort }},
	{"ctorigdst", pred.AddrCtOrigDst, pred.FieldCtOrigDstPort, func(c *packet.Conn) (netip.Addr, uint16) { return c.Orig.Dst, c.Orig.DstPort }},
	{"ctreplsrc", pred.AddrCtReplSrc, pred.FieldCtReplSrcPort, func(c *packet.Conn) (netip.Addr, uint16) { return c.Repl.Src, c.Repl.SrcPort }},
	{"ctrepldst", pred.AddrCtReplDst, pred.FieldCtReplDstPort, func(c *packet.Conn) (netip.Addr, uint16) { return c.Repl.Dst, c.Repl.DstPort }},
}

// namedBit is a bit that an argument names.
type namedBit struct {
	name string
	bit  uint32
}

// The names of states and statuses in the order in which they are printed.
var (
	ctStates = []namedBit{
		{"INVALID", packet.CtInvalid}, {"NEW", packet.CtNew}, {"RELATED", packet.CtRelated}, {"ESTABLISHED", packet.CtEstablished},
		{"UNTRACKED", packet.CtUntracked}, {"SNAT", packet.CtSNAT}, {"DNAT", packet.CtDNAT},
	}
	ctStatuses = []namedBit{{"NONE", 0}, {"EXPECTED", 1}, {"SEEN_REPLY", 2}, {"ASSURED", 4}, {"CONFIRMED", 8}}
)

// parseBits reads names separated by commas; a name may be cut short.
func parseBits(option, arg string, names []namedBit) (mask uint32, err error) {
	known := make([]string, len(names))
	for i, n := range names {
		known[i] = n.name
	}
	for _, part := range strings.Split(arg, ",") {
		i := nameIn(known, part)
		if i < 0 {
			return 0, ruleset.InWords(fmt.Errorf("--%s: %q is not one of %s", option, part, strings.Join(known, ", ")), "Bad %s \"%s\"", option, part)
		}
		mask |= names[i].bit
	}
	return mask, nil
}

func printBits(mask uint32, names []namedBit) string {
	var s []string
	for _, n := range names {
		if mask&n.bit != 0 {
			s = append(s, n.name)
		}
	}
	return strings.Join(s, ",")
}

// Set takes one option.
func (m *conntrack) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil {
		return err
	}
	if m.negate == nil {
		m.negate = map[string]bool{}
	}
	m.negate[option] = negate
	m.family = env.Family
	if i, port, ok := sideOf(option); ok {
		return m.setSide(env, option, args[0], i, port)
	}
	var err error
	switch option {
	case "ctstate":
		m.state, err = parseBits(option, args[0], ctStates)
	case "ctstatus":
		m.status, err = parseBits(option, args[0], ctStatuses)
	case "ctproto":
		m.proto, err = parseProtocol(env, option, args[0])
		// libxt_conntrack asks for XT_INV_PROTO where it means its own flag: the
		// bit is that of a negated --ctstatus.
		if err == nil && m.proto == 0 && m.negate["ctstatus"] {
			err = ruleset.InWords(fmt.Errorf("--ctproto: protocol 0 after \"! --ctstatus\" is refused by iptables; name a protocol"), "conntrack: rule would never match protocol")
		}
	case "ctexpire":
		err = m.setExpire(args[0])
	case "ctdir":
		err = m.setDir(args[0])
	}
	return err
}

func sideOf(option string) (i int, port, ok bool) {
	for i, s := range ctSides {
		if option == s.option || option == s.option+"port" {
			return i, option != s.option, true
		}
	}
	return 0, false, false
}

func (m *conntrack) setSide(env *ruleset.Env, option, arg string, i int, port bool) (err error) {
	if port {
		m.ports[i][0], m.ports[i][1], err = parsePortRange(env, option, arg)
		return err
	}
	m.addrs[i], err = parseHostMask(env, option, arg)
	return err
}

func (m *conntrack) setExpire(arg string) error {
	v, n, err := numberRange("ctexpire", arg, math.MaxUint32)
	m.expire = [2]uint32{uint32(v[0]), uint32(v[1])}
	if n == 1 {
		m.expire[1] = m.expire[0]
	}
	return err
}

func (m *conntrack) setDir(arg string) error {
	m.reply = strings.EqualFold(arg, "REPLY")
	if !m.reply && !strings.EqualFold(arg, "ORIGINAL") {
		return ruleset.InWordsOf(fmt.Errorf("--ctdir: %q is neither ORIGINAL nor REPLY", arg), "Bad value for \"--ctdir\" option: \"%s\"", arg)
	}
	return nil
}

// Done is called after the last option.
func (m *conntrack) Done(*ruleset.Env) error {
	if len(m.given) == 0 {
		return ruleset.InWords(fmt.Errorf("at least one option is needed, as --ctstate"), "conntrack: At least one option is required")
	}
	return nil
}

// Match gives the match itself.
func (m *conntrack) Match() ruleset.Match { return m }

// Word is "conntrack".
func (m *conntrack) Word() string { return "conntrack" }

// NeedsConntrack says that the kernel's connection tracking has to run:
// conntrack_mt_check() calls nf_ct_netns_get().
func (m *conntrack) NeedsConntrack() bool { return true }

// Args prints as conntrack_dump() of libxt_conntrack.c.
func (m *conntrack) Args() []string {
	return ruleset.WordsOf(m.AppendText(nil))
}

// AppendText appends what iptables-save prints.
func (m *conntrack) AppendText(b []byte) []byte {
	b = append(b, "-m conntrack"...)
	add := func(option string, value func() string) {
		if m.given[option] {
			b = append(appendBang(append(b, ' '), m.negate[option]), "--"...)
			b = append(append(append(b, option...), ' '), value()...)
		}
	}
	add("ctstate", func() string { return printBits(m.state, ctStates) })
	add("ctproto", func() string { return fmt.Sprint(m.proto) })
	for i, s := range ctSides {
		add(s.option, func() string { return m.addrs[i].text(m.family) })
	}
	for i, s := range ctSides {
		add(s.option+"port", func() string { return portsText(m.ports[i]) })
	}
	add("ctstatus", func() string {
		if m.status == 0 {
			return "NONE"
		}
		return printBits(m.status, ctStatuses)
	})
	add("ctexpire", func() string { return secondsText(m.expire) })
	add("ctdir", func() string { return map[bool]string{true: "REPLY", false: "ORIGINAL"}[m.reply] })
	return b
}

// ExactArgs has an upper port of 0, too.
func (m *conntrack) ExactArgs() []string {
	var args []string
	for i, s := range ctSides {
		if option := s.option + "port"; m.given[option] && m.ports[i][1] == 0 && m.ports[i][0] != 0 {
			if args == nil {
				args = m.Args()
			}
			args[slices.Index(args, "--"+option)+1] = fmt.Sprintf("%d:0", m.ports[i][0])
		}
	}
	return args
}

func portsText(p [2]uint16) string {
	if p[1] == 0 || p[0] == p[1] {
		return fmt.Sprint(p[0])
	}
	return fmt.Sprintf("%d:%d", p[0], p[1])
}

func secondsText(s [2]uint32) string {
	if s[0] == s[1] {
		return fmt.Sprint(s[0])
	}
	return fmt.Sprintf("%d:%d", s[0], s[1])
}

// Check refuses nothing: conntrack_mt_check() asks for connection tracking only.
func (m *conntrack) Check(*ruleset.Place) error { return nil }

// Eval is conntrack_mt(): a packet without a connection is judged by --ctstate
// alone, whatever else the rule asks.
func (m *conntrack) Eval(f *packet.Facts) pred.Answer {
	if m.given["ctstate"] && (f.CtState&m.state != 0) == m.negate["ctstate"] {
		return pred.No
	}
	if f.Conn == nil {
		return pred.Bool(m.given["ctstate"])
	}
	return pred.Bool(m.connAgrees(f.Conn))
}

func (m *conntrack) connAgrees(c *packet.Conn) bool {
	agrees := func(option string, yes bool) bool {
		return !m.given[option] || yes != m.negate[option]
	}
	ok := agrees("ctdir", c.Reply == m.reply) &&
		agrees("ctproto", c.Proto == m.proto) &&
		agrees("ctstatus", c.Status&m.status != 0) &&
		agrees("ctexpire", c.ExpiresSecs >= m.expire[0] && c.ExpiresSecs <= m.expire[1])
	for i, s := range ctSides {
		addr, port := s.tuple(c)
		ok = ok && agrees(s.option, m.addrs[i].contains(addr)) &&
			agrees(s.option+"port", port >= m.ports[i][0] && port <= m.ports[i][1])
	}
	return ok
}

// Lower gives the same in predicates.
func (m *conntrack) Lower(*ruleset.Place) pred.Pred {
	parts := m.lowerConn()
	if !m.given["ctstate"] {
		return append(pred.And{pred.Eq(pred.FieldHasConn, 1)}, parts...)
	}
	state := lowerState(m.state, m.negate["ctstate"])
	if len(parts) == 0 {
		return state
	}
	return pred.And{state, pred.Or{pred.Eq(pred.FieldHasConn, 0), parts}}
}

// lowerState asks whether one of the state bits is set, or none.
func lowerState(mask uint32, negate bool) pred.Pred {
	if negate {
		return pred.Masked(pred.FieldCtState, mask, 0)
	}
	return pred.Cmp{Of: pred.FieldCtState, Mask: mask, Lo: 1, Hi: math.MaxUint32}
}

func (m *conntrack) lowerConn() pred.And {
	var parts pred.And
	add := func(option string, p pred.Pred) {
		if m.given[option] {
			parts = append(parts, pred.Negated(p, m.negate[option]))
		}
	}
	dir := uint32(0)
	if m.reply {
		dir = 1
	}
	add("ctdir", pred.Eq(pred.FieldCtDir, dir))
	for i, s := range ctSides {
		add(s.option, m.addrs[i].lower(s.addr))
	}
	add("ctproto", pred.Eq(pred.FieldCtProto, uint32(m.proto)))
	for i, s := range ctSides {
		add(s.option+"port", pred.In(s.port, uint32(m.ports[i][0]), uint32(m.ports[i][1])))
	}
	add("ctstatus", pred.Cmp{Of: pred.FieldCtStatus, Mask: m.status, Lo: 1, Hi: math.MaxUint32})
	add("ctexpire", pred.In(pred.FieldCtExpire, m.expire[0], m.expire[1]))
	return parts
}
