package match

import (
	"fmt"
	"math"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

// setRate is parse_bytes() and parse_rate() of libxt_hashlimit.c.
func (m *hashlimit) setRate(option, arg string) error {
	n := uint64(atoi(arg))
	if at := strings.Index(arg, "b/s"); at > 0 && n != 0 {
		chunks := uint32(n * unitFactor(arg[at-1]) >> 4)
		if chunks == math.MaxUint32 {
			return ruleset.InWords(fmt.Errorf("--%s: %q is too high", option, arg), "Rate too high \"%s\"", arg)
		}
		m.inBytes, m.unit = true, hashlimitExpire
		m.avg = uint64(math.MaxUint32 / (chunks + 1))
		return nil
	}
	unit, ok := rateUnit(arg)
	if !ok || n == 0 {
		return ruleset.InWordsOf(fmt.Errorf("--%s: %q is not a rate; write it as 5/second, 10/minute, 3/hour, 1/day or 512kb/s", option, arg), "Bad value for \"--%s\" option: \"%s\"", option, arg)
	}
	m.unit = unit
	if m.avg = hashlimitScale * uint64(unit) / n; m.avg == 0 {
		return ruleset.InWords(fmt.Errorf("--%s: %q is too fast; at most %d/second is possible", option, arg, hashlimitScale), "Rate too fast \"%s\"", arg)
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
		return 0, ruleset.InWords(fmt.Errorf("--%s: %q is not a number from 1 to %d, or of bytes as 64kb", option, arg, hashlimitBurstMax), "bad value for option \"--hashlimit-burst\", or out of range (1-%d).", hashlimitBurstMax)
	}
	if rest != "" {
		v *= unitFactor(rest[0])
	}
	return v, nil
}

// byteBurst turns a burst of bytes into a number of refills.
func (m *hashlimit) byteBurst() error {
	if !m.given["hashlimit-burst"] {
		m.burst = 0
		return nil
	}
	refill := costToBytes(m.avg)
	if refill == 0 || m.burst < refill {
		return ruleset.InWords(fmt.Errorf("--hashlimit-burst: the burst cannot be smaller than %d bytes, and not with a rate below 16b/s", refill), "burst cannot be smaller than %db", refill)
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
