package match

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/bpftables/bpftables/ruleset"
)

// List is limit_print() of libxt_limit.c.
func (m *limit) List(ruleset.Names) string {
	rate, _ := rateText(uint64(m.avg), limitScale)
	return fmt.Sprintf("limit: avg %s burst %d", rate, m.burst)
}

// List is hashlimit_mt_print() of libxt_hashlimit.c. It shows the rate of
// --hashlimit-rate-match for a second of the interval, unlike iptables-save.
func (m *hashlimit) List(ruleset.Names) string {
	list := []string{"limit: up to"}
	if m.above {
		list[0] = "limit: above"
	}
	scaled := *m
	if !m.inBytes && m.interval != 0 {
		scaled.avg *= uint64(m.interval)
	}
	args := scaled.Args()[3:]
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "--hashlimit-name":
			i++
		case "--hashlimit-mode":
			i++
			list = append(list, "mode", strings.ReplaceAll(args[i], ",", "-"))
		default:
			list = append(list, strings.TrimPrefix(args[i], "--hashlimit-"))
		}
	}
	return strings.Join(list, " ")
}

// List is nfacct_print() of libxt_nfacct.c, with two spaces.
func (m *nfacct) List(ruleset.Names) string { return "nfacct-name  " + ruleset.Quoted(m.name) }

// List is osf_print() of libxt_osf.c.
func (m *osf) List(ruleset.Names) string {
	return strings.Join(append(append([]string{"OS fingerprint match"}, bang(m.negate)...), m.genre), " ")
}

// List is policy4_print() and policy6_print() of libxt_policy.c.
func (m *policy) List(names ruleset.Names) string {
	args := m.Args()[2:]
	list := []string{"policy match", "dir", args[1], "pol", args[3]}
	if m.given["strict"] {
		list = append(list, "strict")
	}
	for i, e := range m.elems {
		if len(m.elems) > 1 {
			list = append(list, fmt.Sprintf("[%d]", i))
		}
		parts := e.args(m.family, e.protoName)
		for j, a := range parts {
			if j > 0 && parts[j-1] == "--proto" && names == nil {
				a = fmt.Sprint(e.proto)
			}
			list = append(list, strings.TrimPrefix(a, "--"))
		}
	}
	return strings.Join(list, " ")
}

// List is quota_print() of libxt_quota.c, which does not show "!".
func (m *quota) List(ruleset.Names) string { return fmt.Sprintf("quota: %d bytes", m.bytes) }

// List is recent_print() of libxt_recent.c.
func (m *recent) List(ruleset.Names) string {
	list := append(bang(m.negate), "recent:")
	for i, op := range recentOps {
		if m.given[op] {
			list = append(list, [...]string{"SET", "CHECK", "UPDATE", "REMOVE"}[i])
		}
	}
	if m.seconds != 0 {
		list = append(list, fmt.Sprintf("seconds: %d", int32(m.seconds)))
	}
	if m.given["reap"] {
		list = append(list, "reap")
	}
	if m.hits != 0 {
		list = append(list, fmt.Sprintf("hit_count: %d", int32(m.hits)))
	}
	if m.given["rttl"] {
		list = append(list, "TTL-Match")
	}
	side := "source"
	if m.dst {
		side = "dest"
	}
	list = append(list, "name: "+m.name, "side: "+side, "mask: "+addrText(addrOf(m.family, m.maskBits())))
	return strings.Join(list, " ")
}

// List is statistic_print() of libxt_statistic.c.
func (m *statistic) List(ruleset.Names) string {
	list := []string{"statistic mode random"}
	if m.nth {
		list[0] = "statistic mode nth"
	}
	list = append(list, bang(m.negate)...)
	if !m.nth {
		return strings.Join(append(list, fmt.Sprintf("probability %.11f", float64(m.probability)/(1<<31))), " ")
	}
	list = append(list, fmt.Sprintf("every %d", m.every))
	if m.packet != 0 {
		list = append(list, fmt.Sprintf("packet %d", m.packet))
	}
	return strings.Join(list, " ")
}

// List is string_print() of libxt_string.c.
func (m *stringMatch) List(ruleset.Names) string {
	pattern := quoteAlways.Replace(string(m.pattern))
	if m.asHex() {
		pattern = "|" + hex.EncodeToString(m.pattern) + "|"
	}
	s := fmt.Sprintf(`STRING match %s "%s" ALGO name %s`, not(m.negate), pattern, m.algo)
	if m.from != 0 {
		s += fmt.Sprintf(" FROM %d", m.from)
	}
	if m.to != math.MaxUint16 {
		s += fmt.Sprintf(" TO %d", m.to)
	}
	if m.given["icase"] {
		s += " ICASE"
	}
	return s
}

// List is time_print() of libxt_time.c.
func (m *timeMatch) List(ruleset.Names) string {
	s := "TIME"
	if m.dayStart != 0 || m.dayStop != dayEnd {
		s += " from " + daytimeText(m.dayStart) + " to " + daytimeText(m.dayStop)
	}
	if m.weekdays != allWeekdays {
		s += " on " + daysText(uint64(m.weekdays), 1, 7, func(d int) string { return weekdayNames[d] })
	}
	if m.monthdays != allMonthdays {
		s += " on " + daysText(uint64(m.monthdays), 1, 31, func(d int) string {
			suffix := "th"
			if d%10 >= 1 && d%10 <= 3 {
				suffix = [...]string{"st", "nd", "rd"}[d%10-1] // also "11st"
			}
			return fmt.Sprint(d) + suffix
		})
	}
	if m.dateStart != 0 {
		s += " starting from" + listDate(m.dateStart)
	}
	if m.dateStop != math.MaxInt32 {
		s += " until date" + listDate(m.dateStop)
	}
	if !m.given["localtz"] && !m.given["kerneltz"] {
		s += " UTC"
	}
	if m.given["contiguous"] {
		s += " contiguous"
	}
	return s
}

// listDate is time_print_date().
func listDate(seconds uint32) string {
	if seconds == 0 {
		return ""
	}
	return " " + time.Unix(int64(seconds), 0).UTC().Format(time.DateTime)
}

// List is u32_print() of libxt_u32.c.
func (m *u32) List(ruleset.Names) string {
	return strings.Join(append(append([]string{"u32"}, bang(m.negate)...), `"`+m.expression()+`"`), " ")
}

// List is bpf_print_v1() of libxt_bpf.c, which ends bytecode with a NUL.
func (m *bpfMatch) List(ruleset.Names) string {
	if m.given["object-pinned"] {
		return "match bpf pinned " + m.path
	}
	code := strings.TrimSpace(m.codeText())
	if _, rest, ok := strings.Cut(code, ","); ok {
		code = rest // without the number of instructions
	}
	return "match bpf " + code + "\x00"
}

// ListJoined says that no space stands before the text in listings.
func (m *bpfMatch) ListJoined() bool { return true }

// List is the name alone: libip6t_eui64.c has nothing to show.
func (m *eui64) List(ruleset.Names) string { return "eui64 " }

// ListJoined says that no space stands before the text in listings.
func (m *eui64) ListJoined() bool { return true }

// List is cgroup_print_v2() of libxt_cgroup.c.
func (m *cgroup) List(ruleset.Names) string {
	list := []string{"cgroup"}
	if m.given["path"] {
		list = append(append(list, bang(m.negatePath)...), m.path)
	}
	if m.given["cgroup"] {
		list = append(append(list, bang(m.negateCls)...), fmt.Sprint(m.class))
	}
	return strings.Join(list, " ")
}

// List is rateest_print() of libxt_rateest.c.
func (m *rateest) List(names ruleset.Names) string {
	delta := m.given["rateest-delta"]
	relative := m.given["rateest2"]
	mode := append(bang(m.negate), m.mode)
	list := []string{"rateest match " + m.names[0]}
	if delta {
		list = append(list, "delta")
	}
	if m.counts("bps") {
		list = append(list, "bps")
		if delta {
			list = append(list, listRate(names, m.bps[0]))
		}
		if !relative {
			list = append(append(list, listRate(names, m.bps[1])), mode...)
		}
	}
	if m.counts("pps") {
		list = append(list, "pps")
		if delta {
			list = append(list, fmt.Sprint(m.pps[0]))
		}
		if !relative {
			list = append(append(list, mode...), fmt.Sprint(m.pps[1]))
		}
	}
	if !relative {
		return strings.Join(list, " ")
	}
	list = append(append(list, mode...), m.names[1])
	if m.counts("bps") {
		list = append(list, "bps")
		if delta {
			list = append(list, listRate(names, m.bps[1]))
		}
	}
	if m.counts("pps") {
		list = append(list, "pps")
		if delta {
			list = append(list, fmt.Sprint(m.pps[1]))
		}
	}
	return strings.Join(list, " ")
}

// listRate is rateest_print_rate().
func listRate(names ruleset.Names, rate uint32) string {
	bits := float64(rate) * 8
	switch {
	case names == nil:
		return fmt.Sprint(rate)
	case bits >= 1e9:
		return fmt.Sprintf("%.0fMbit", bits/1e6)
	case bits >= 1e6:
		return fmt.Sprintf("%.0fKbit", bits/1e3)
	}
	return fmt.Sprintf("%.0fbit", bits)
}
