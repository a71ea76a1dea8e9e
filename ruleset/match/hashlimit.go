package match

import (
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
	New: func() ruleset.MatchBuilder {
		return &hashlimit{burst: hashlimitBurst, gcInterval: hashlimitGC}
	},
}

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
	unseen
	family             packet.Family
	above, inBytes     bool
	avg, burst         uint64
	unit               uint32 // seconds of the rate's unit
	modes              uint8
	size, max          uint32
	gcInterval, expire uint32
	interval           uint32
	name               string
	srcPlen, dstPlen   int // valid if given
}

// hashlimitModes are in the order in which they are printed.
var hashlimitModes = []string{"srcip", "srcport", "dstip", "dstport"}

// Set takes one option.
func (m *hashlimit) Set(env *ruleset.Env, option string, negate bool, args []string) (err error) {
	m.family = env.Family
	if option == "hashlimit" {
		option = "hashlimit-upto"
	}
	if err = m.once(option); err != nil || len(args) == 0 {
		return err
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
			err = fmt.Errorf("--%s: the name is empty", option)
		}
	case "rate-interval":
		v := int32(atoi(arg))
		if m.interval = uint32(v); v <= 0 {
			err = fmt.Errorf("--%s: %q is not a number of seconds above 0", option, arg)
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
			return fmt.Errorf("--hashlimit-mode: %q is not one of %s", name, strings.Join(hashlimitModes, ", "))
		}
	}
	return nil
}

// setRate is parse_bytes() and parse_rate() of libxt_hashlimit.c.
func (m *hashlimit) setRate(option, arg string) error {
	n := uint64(atoi(arg))
	if at := strings.Index(arg, "b/s"); at > 0 && n != 0 {
		chunks := uint32(n * unitFactor(arg[at-1]) >> 4)
		if chunks == math.MaxUint32 {
			return fmt.Errorf("--%s: %q is too high", option, arg)
		}
		m.inBytes, m.unit = true, hashlimitExpire
		m.avg = uint64(math.MaxUint32 / (chunks + 1))
		return nil
	}
	unit, ok := rateUnit(arg)
	if !ok || n == 0 {
		return fmt.Errorf("--%s: %q is not a rate; write it as 5/second, 10/minute, 3/hour, 1/day or 512kb/s", option, arg)
	}
	m.unit = unit
	if m.avg = hashlimitScale * uint64(unit) / n; m.avg == 0 {
		return fmt.Errorf("--%s: %q is too fast; at most %d/second is possible", option, arg, hashlimitScale)
	}
	return nil
}

// unitFactor is the factor of the letter before "b": k or m.
func unitFactor(c byte) uint64 {
	switch c {
	case 'm':
		return 1024 * 1024
	case 'k':
		return 1024
	}
	return 1
}

// parseHashlimitBurst is parse_burst() of libxt_hashlimit.c: what follows the
// letter of the unit is not looked at.
func parseHashlimitBurst(option, arg string) (uint64, error) {
	v, rest, ok := strtou(arg)
	if !ok || v == 0 || rest == "" && v > hashlimitBurstMax {
		return 0, fmt.Errorf("--%s: %q is not a number from 1 to %d, or of bytes as 64kb", option, arg, hashlimitBurstMax)
	}
	if rest != "" {
		v *= unitFactor(rest[0])
	}
	return v, nil
}

// Done is hashlimit_mt_check() of libxt_hashlimit.c: it completes what was not given.
func (m *hashlimit) Done(env *ruleset.Env) error {
	m.family = env.Family
	if err := firstError(m.needOneOf("hashlimit-upto", "hashlimit-above"),
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
		return fmt.Errorf("--hashlimit-burst: %d is more than %d", m.burst, hashlimitBurstMax)
	}
	if m.given["hashlimit-rate-match"] {
		m.rateMatch()
	}
	// hashlimit_mt_check_common() of the kernel cuts these in the rule itself.
	m.size, m.max = min(m.size, hashlimitSizeMax), min(m.max, hashlimitSizeMax)
	return nil
}

// byteBurst turns a burst of bytes into a number of refills.
func (m *hashlimit) byteBurst() error {
	if !m.given["hashlimit-burst"] {
		m.burst = 0
		return nil
	}
	refill := costToBytes(m.avg)
	if refill == 0 || m.burst < refill {
		return fmt.Errorf("--hashlimit-burst: the burst cannot be smaller than %d bytes, and not with a rate below 16b/s", refill)
	}
	bursts := uint64(uint32(uint64(uint32(m.burst)) / refill))
	if m.burst%refill != 0 {
		bursts = uint64(uint32(bursts + 1))
	}
	m.burst = bursts
	if !m.given["hashlimit-htable-expire"] {
		m.expire = hashlimitExpireB * 1000
	}
	return nil
}

func (m *hashlimit) rateMatch() {
	seconds := m.unit
	if m.inBytes {
		seconds = 1
	} else {
		m.avg /= uint64(m.unit)
	}
	if m.interval == 0 {
		m.interval = seconds
	}
}

// costToBytes is cost_to_bytes() of libxt_hashlimit.c.
func costToBytes(cost uint64) uint64 {
	r := uint64(math.MaxUint32)
	if cost != 0 {
		r /= cost
	}
	return (r - 1) << 4
}

// bytesToCost is bytes_to_cost() of libxt_hashlimit.c; ok is false where that
// divides by zero.
func bytesToCost(n uint64) uint64 {
	chunks := uint32(n >> 4)
	if chunks == math.MaxUint32 {
		return 0
	}
	return uint64(math.MaxUint32 / (chunks + 1))
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

// rateArgs are the rate and the burst; expire is the --hashlimit-htable-expire that
// goes without saying (print_rate(), print_bytes()).
func (m *hashlimit) rateArgs() (args []string, expire uint32) {
	if !m.inBytes {
		text, seconds := rateText(m.avg, hashlimitScale)
		return []string{text, "--hashlimit-burst", fmt.Sprint(m.burst)}, seconds * 1000
	}
	units := []struct {
		name   string
		thresh uint64
	}{{"mb", 1024 * 1024}, {"kb", 1024}, {"b", 1}}
	r := costToBytes(m.avg)
	i := 0
	for i < 2 && (r < units[i].thresh || bytesToCost(r&uint64(^uint32(units[i].thresh-1))) != m.avg) {
		i++
	}
	args = []string{fmt.Sprintf("%d%s/s", r/units[i].thresh, units[i].name)}
	if m.burst == 0 {
		return args, hashlimitExpire * 1000
	}
	r *= m.burst
	for i = 0; i < 2 && r < units[i].thresh; {
		i++
	}
	return append(args, "--hashlimit-burst", fmt.Sprintf("%d%s", r/units[i].thresh, units[i].name)), hashlimitExpireB * 1000
}

// Check is hashlimit_mt_check_common(), for a kernel with 250 or 1000 ticks per
// second, for which credits are counted alike.
func (m *hashlimit) Check(*ruleset.Place) error {
	if err := procName("hashlimit-name", m.name); err != nil {
		return err
	}
	bits := m.family.Bits()
	switch {
	case m.gcInterval == 0 || m.expire == 0:
		return fmt.Errorf("--hashlimit-htable-gcinterval and --hashlimit-htable-expire must be at least 1")
	case m.plen("hashlimit-srcmask", m.srcPlen) > bits || m.plen("hashlimit-dstmask", m.dstPlen) > bits:
		return fmt.Errorf("--hashlimit-srcmask and --hashlimit-dstmask must be runs of ones; give a length from 0 to %d", bits)
	case m.given["hashlimit-rate-match"] && (m.avg == 0 || m.avg > math.MaxUint32):
		return fmt.Errorf("the rate is out of the range that --hashlimit-rate-match can measure")
	case m.given["hashlimit-rate-match"]:
		return nil
	case m.inBytes && !byteRateCounts(m.avg):
		return fmt.Errorf("the rate is too high for the kernel to count; give a lower one")
	case !m.inBytes && (m.burst == 0 || credits64(m.avg*m.burst) < credits64(m.avg)):
		return fmt.Errorf("the burst at this rate is more than the kernel can count; give a lower burst")
	}
	return nil
}

// byteRateCounts is user2credits_byte() != 0: CREDITS_PER_JIFFY_BYTES times HZ is
// 2^24 * 250.
func byteRateCounts(cost uint64) bool {
	return uint64(uint32(cost))*(250<<24)>>32 != 0
}

// credits64 is user2credits(): CREDITS_PER_JIFFY times HZ, divided by the scale, is
// 2^39 * 250 / 10^6 for 250 ticks per second; it overflows in 64 bits.
func credits64(user uint64) uint64 {
	const perTick = 1 << 39
	return user * (250 * perTick / hashlimitScale)
}

// Lower says why BPF cannot do it.
func (m *hashlimit) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "hashlimit keeps its counts in a table of the kernel that rules and /proc share by name (hashlimit_mt_common(), net/netfilter/xt_hashlimit.c), which BPF cannot reach"}
}
