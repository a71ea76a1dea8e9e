package match

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// hashlimitKind is -m hashlimit, revision 3 (net/netfilter/xt_hashlimit.c).
var hashlimitKind = &ruleset.MatchKind{
	Name:     "hashlimit",
	Families: ruleset.Both,
	Doc:      "as limit, separately for each address, port or combination of them",
	Options: []ruleset.Option{
		{Name: "hashlimit-upto", NArgs: 1, Negate: true, Help: "yes up to this rate: packets as 10/second, or bytes as 512kb/s"},
		{Name: "hashlimit-above", NArgs: 1, Negate: true, Help: "yes above this rate"},
		{Name: "hashlimit", NArgs: 1, Negate: true, Help: "old name of --hashlimit-upto"},
		{Name: "hashlimit-srcmask", NArgs: 1, Help: "prefix length by which sources are grouped"},
		{Name: "hashlimit-dstmask", NArgs: 1, Help: "prefix length by which destinations are grouped"},
		{Name: "hashlimit-burst", NArgs: 1, Help: "packets or bytes that may come at once"},
		{Name: "hashlimit-htable-size", NArgs: 1, Help: "buckets of the hash table"},
		{Name: "hashlimit-htable-max", NArgs: 1, Help: "entries of the hash table"},
		{Name: "hashlimit-htable-gcinterval", NArgs: 1, Help: "milliseconds between two sweeps"},
		{Name: "hashlimit-htable-expire", NArgs: 1, Help: "milliseconds after which an idle entry goes"},
		{Name: "hashlimit-mode", NArgs: 1, Help: "what is counted apart: srcip, srcport, dstip, dstport, separated by commas"},
		{Name: "hashlimit-name", NArgs: 1, Help: "name of the table, under /proc/net/ipt_hashlimit"},
		{Name: "hashlimit-rate-match", Help: "match by the rate without limiting it"},
		{Name: "hashlimit-rate-interval", NArgs: 1, Help: "seconds over which --hashlimit-rate-match measures"},
	},
	New: func() ruleset.MatchBuilder { return newHashlimit() },
}

func newHashlimit() *hashlimit { return &hashlimit{burst: hashlimitBurst, gcInterval: hashlimitGC} }

// Numbers of libxt_hashlimit.c and include/uapi/linux/netfilter/xt_hashlimit.h.
const (
	hashlimitScale    = 1000000 // XT_HASHLIMIT_SCALE_v2
	hashlimitBurst    = 5
	hashlimitBurstMax = 1000000
	hashlimitGC       = 1000
	hashlimitSizeMax  = 1048576 // HASHLIMIT_MAX_SIZE of xt_hashlimit.c
	hashlimitExpire   = 15      // seconds, when bytes are counted
	hashlimitExpireB  = 60      // the same with --hashlimit-burst
)

// hashlimit is -m hashlimit. avg is the time between two packets in
// 1/hashlimitScale seconds, or for bytes the cost of 16 of them.
type hashlimit struct {
	given
	family             packet.Family
	above, inBytes     bool
	avg, burst         uint64
	unit               uint32 // seconds of the rate's unit
	modes              uint8
	size, max          uint32
	gcInterval, expire uint32
	interval           uint32
	name               string
	srcPlen, dstPlen   int      // valid if given
	said               []string // the options as they were given
}

// hashlimitModes are in the order in which they are printed.
var hashlimitModes = []string{"srcip", "srcport", "dstip", "dstport"}

// Set takes one option.
func (m *hashlimit) Set(env *ruleset.Env, option string, negate bool, args []string) (err error) {
	m.family = env.Family
	if option == "hashlimit" {
		option = "hashlimit-upto"
	}
	if err = m.once(option); err != nil {
		return err
	}
	m.said = append(append(append(m.said, bang(negate)...), "--"+option), args...)
	if len(args) == 0 {
		return nil
	}
	arg := args[0]
	switch strings.TrimPrefix(option, "hashlimit-") {
	case "upto", "above":
		m.above = (option == "hashlimit-above") != negate
		err = m.setRate(option, arg)
	case "burst":
		m.burst, err = parseHashlimitBurst(option, arg)
	case "mode":
		err = m.setModes(arg)
	case "srcmask":
		m.srcPlen, err = parsePrefix(env.Family, option, arg)
	case "dstmask":
		m.dstPlen, err = parsePrefix(env.Family, option, arg)
	case "name":
		if m.name = cut(arg, 254); arg == "" {
			err = ruleset.InWords(fmt.Errorf("--%s: the name is empty", option), tooShort)
		}
	case "rate-interval":
		v := int32(atoi(arg))
		if m.interval = uint32(v); v <= 0 {
			err = ruleset.InWordsOf(fmt.Errorf("--%s: %q is not a number of seconds above 0", option, arg), "Bad value for \"--%s\" option: \"%s\"", option, arg)
		}
	default:
		err = m.setTable(option, arg)
	}
	return err
}

func (m *hashlimit) setTable(option, arg string) (err error) {
	into := map[string]*uint32{
		"hashlimit-htable-size": &m.size, "hashlimit-htable-max": &m.max,
		"hashlimit-htable-gcinterval": &m.gcInterval, "hashlimit-htable-expire": &m.expire,
	}[option]
	*into, err = number32(option, arg, 0)
	return err
}

func (m *hashlimit) setModes(arg string) error {
	for _, name := range strings.FieldsFunc(arg, func(r rune) bool { return r == ',' || r == '|' }) {
		found := false
		for i, mode := range hashlimitModes {
			if name == mode {
				m.modes, found = m.modes|1<<i, true
			}
		}
		if !found {
			return ruleset.InWordsOf(fmt.Errorf("--hashlimit-mode: %q is not one of %s", name, strings.Join(hashlimitModes, ", ")), "Bad value for \"--hashlimit-mode\" option: \"%s\"", arg)
		}
	}
	return nil
}

// Done is hashlimit_mt_check() of libxt_hashlimit.c: it completes what was not given.
func (m *hashlimit) Done(env *ruleset.Env) error {
	m.family = env.Family
	if err := cmp.Or(ruleset.InWords(m.needOneOf("hashlimit-upto", "hashlimit-above"), "You have to specify --hashlimit"),
		m.notBoth("hashlimit-upto", "hashlimit-above"), m.need("hashlimit-name")); err != nil {
		return err
	}
	if !m.given["hashlimit-htable-expire"] {
		m.expire = m.unit * 1000
	}
	if m.inBytes {
		if err := m.byteBurst(); err != nil {
			return err
		}
	} else if m.burst > hashlimitBurstMax {
		return ruleset.InWords(fmt.Errorf("--hashlimit-burst: %d is more than %d", m.burst, hashlimitBurstMax), "bad value for option \"--hashlimit-burst\", or out of range (1-%d).", hashlimitBurstMax)
	}
	if m.given["hashlimit-rate-match"] {
		m.rateMatch()
	}
	// hashlimit_mt_check_common() of the kernel cuts these in the rule itself.
	m.size, m.max = min(m.size, hashlimitSizeMax), min(m.max, hashlimitSizeMax)
	return nil
}

// Match gives the match itself.
func (m *hashlimit) Match() ruleset.Match { return m }

// Word is "hashlimit".
func (m *hashlimit) Word() string { return "hashlimit" }

// Args prints as hashlimit_mt_save() of libxt_hashlimit.c.
func (m *hashlimit) Args() []string {
	args := []string{"-m", "hashlimit", "--hashlimit-upto"}
	if m.above {
		args[2] = "--hashlimit-above"
	}
	rate, quantum := m.rateArgs()
	args = append(args, rate...)
	if m.modes != 0 {
		args = append(args, "--hashlimit-mode", m.modesText())
	}
	args = append(args, "--hashlimit-name", m.name)
	add := func(option string, value, silent uint32) {
		if value != silent {
			args = append(args, "--hashlimit-"+option, fmt.Sprint(value))
		}
	}
	add("htable-size", m.size, 0)
	add("htable-max", m.max, 0)
	add("htable-gcinterval", m.gcInterval, hashlimitGC)
	add("htable-expire", m.expire, quantum)
	add("srcmask", uint32(m.plen("hashlimit-srcmask", m.srcPlen)), uint32(m.family.Bits()))
	add("dstmask", uint32(m.plen("hashlimit-dstmask", m.dstPlen)), uint32(m.family.Bits()))
	if m.given["hashlimit-rate-match"] {
		args = append(args, "--hashlimit-rate-match")
		add("rate-interval", m.interval, 1)
	}
	return args
}

// ExactArgs are the words that were given, where those that are printed do not read to
// the same: rates are rounded, and without --hashlimit-rate-match the interval is lost.
func (m *hashlimit) ExactArgs() []string {
	again, env := newHashlimit(), &ruleset.Env{Family: m.family}
	args := m.Args()[2:]
	for len(args) > 0 {
		option, n := strings.TrimPrefix(args[0], "--"), 2
		if option == "hashlimit-rate-match" {
			n = 1
		}
		if again.Set(env, option, false, args[1:n]) != nil {
			break
		}
		args = args[n:]
	}
	if again.Done(env) == nil && again.inKernel() == m.inKernel() {
		return nil
	}
	return append([]string{"-m", "hashlimit"}, m.said...)
}

// hashlimitCfg is what the kernel gets: struct hashlimit_cfg3.
type hashlimitCfg struct {
	above, inBytes, byRate bool
	avg, burst             uint64
	modes                  uint8
	size, max              uint32
	gcInterval, expire     uint32
	interval               uint32
	name                   string
	srcPlen, dstPlen       int
}

func (m *hashlimit) inKernel() hashlimitCfg {
	return hashlimitCfg{
		m.above, m.inBytes, m.given["hashlimit-rate-match"], m.avg, m.burst, m.modes, m.size, m.max, m.gcInterval, m.expire,
		m.interval, m.name, m.plen("hashlimit-srcmask", m.srcPlen), m.plen("hashlimit-dstmask", m.dstPlen),
	}
}

func (m *hashlimit) plen(option string, n int) int {
	if m.given[option] {
		return n
	}
	return m.family.Bits()
}

func (m *hashlimit) modesText() string {
	var names []string
	for i, name := range hashlimitModes {
		if m.modes>>i&1 != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// hashlimitTicks is HZ of the kernel by which rates are checked: with 250 and with 1000 credits are counted alike.
const hashlimitTicks = 250

// Check is hashlimit_mt_check_common().
func (m *hashlimit) Check(*ruleset.Place) error {
	if err := procName("hashlimit-name", m.name); err != nil {
		return err
	}
	bits, first := m.family.Bits(), m.metering().First(hashlimitTicks)
	switch {
	case m.gcInterval == 0 || m.expire == 0:
		return fmt.Errorf("--hashlimit-htable-gcinterval and --hashlimit-htable-expire must be at least 1")
	case m.plen("hashlimit-srcmask", m.srcPlen) > bits || m.plen("hashlimit-dstmask", m.dstPlen) > bits:
		return fmt.Errorf("--hashlimit-srcmask and --hashlimit-dstmask must be runs of ones; give a length from 0 to %d", bits)
	case m.given["hashlimit-rate-match"] && (m.avg == 0 || m.avg > math.MaxUint32):
		return ruleset.InWords(fmt.Errorf("the rate is out of the range that --hashlimit-rate-match can measure"), "%s", ruleset.OutOfRange)
	case m.given["hashlimit-rate-match"]:
		return nil
	case m.inBytes && first.Cost == 0:
		return fmt.Errorf("the rate is too high for the kernel to count; give a lower one")
	case !m.inBytes && (m.burst == 0 || first.Credit < first.Cost):
		return ruleset.InWords(fmt.Errorf("the burst at this rate is more than the kernel can count; give a lower burst"), "%s", ruleset.OutOfRange)
	}
	return nil
}

// metering is what its table is like, if it is the first rule that names it.
func (m *hashlimit) metering() pred.Metering {
	out := pred.Metering{
		SrcLen: uint8(m.plen("hashlimit-srcmask", m.srcPlen)), DstLen: uint8(m.plen("hashlimit-dstmask", m.dstPlen)),
		InBytes: m.inBytes, ByRate: m.given["hashlimit-rate-match"], Avg: m.avg, Burst: m.burst,
		Size: m.size, Max: m.max, Collect: m.gcInterval, Expire: m.expire, Interval: m.interval,
	}
	for i, part := range [...]pred.MeterParts{pred.MeterSrc, pred.MeterSrcPort, pred.MeterDst, pred.MeterDstPort} {
		if m.modes>>i&1 != 0 {
			out.Parts |= part
		}
	}
	return out
}

// KeepsSet is the table, which is like the first rule says that names it.
func (m *hashlimit) KeepsSet() *ruleset.Set {
	like := m.metering()
	return &ruleset.Set{Name: m.name, Flags: ruleset.SetDynamic | ruleset.SetKept, Meter: &like}
}

// Eval is hashlimit_mt_common(). The table is another one than that of the predicate.
func (m *hashlimit) Eval(f *packet.Facts) pred.Answer {
	return pred.Eval(pred.Meter{Table: "/" + m.name, Above: m.above, Metering: m.metering()}, f)
}

// Lower gives the same in predicates.
func (m *hashlimit) Lower(*ruleset.Place) pred.Pred {
	return pred.Meter{Table: m.name, Above: m.above, Metering: m.metering()}
}
