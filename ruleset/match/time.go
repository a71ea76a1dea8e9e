package match

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// timeKind is -m time (net/netfilter/xt_time.c).
var timeKind = &ruleset.MatchKind{
	Name:     "time",
	Families: ruleset.Both,
	Doc:      "the date, the time of day and the day of the week when the packet came",
	Options: []ruleset.Option{
		{Name: "datestart", NArgs: 1, Help: "first moment, YYYY[-MM[-DD[Thh[:mm[:ss]]]]]"},
		{Name: "datestop", NArgs: 1, Help: "last moment"},
		{Name: "timestart", NArgs: 1, Help: "first time of day, hh:mm[:ss]"},
		{Name: "timestop", NArgs: 1, Help: "last time of day"},
		{Name: "contiguous", Help: "a time over midnight belongs to the day on which it began"},
		{Name: "weekdays", NArgs: 1, Negate: true, Help: "days of the week, as Mon,Tue or 1,2"},
		{Name: "monthdays", NArgs: 1, Negate: true, Help: "days of the month, 1 to 31, separated by commas"},
		{Name: "localtz", Help: "old name of --kerneltz"},
		{Name: "utc", Help: "times are UTC (default)"},
		{Name: "kerneltz", Help: "times are in the time zone of the kernel"},
	},
	New: func() ruleset.MatchBuilder {
		return &timeMatch{dayStop: dayEnd, monthdays: allMonthdays, weekdays: allWeekdays, dateStop: math.MaxInt32}
	},
}

// Defaults of include/uapi/linux/netfilter/xt_time.h.
const (
	dayEnd       = 24*60*60 - 1
	allMonthdays = 0xfffffffe
	allWeekdays  = 0xfe
)

var weekdayNames = [...]string{1: "Mon", 2: "Tue", 3: "Wed", 4: "Thu", 5: "Fri", 6: "Sat", 7: "Sun"}

// timeMatch is -m time; times are seconds of a day or since 1970, days are bits.
type timeMatch struct {
	given
	dateStart, dateStop uint32
	dayStart, dayStop   uint32
	monthdays           uint32
	weekdays            uint8
}

// Set takes one option.
func (m *timeMatch) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	switch option {
	case "datestart":
		m.dateStart, err = parseDate(option, args[0])
	case "datestop":
		m.dateStop, err = parseDate(option, args[0])
	case "timestart":
		m.dayStart, err = parseDaytime(option, args[0])
	case "timestop":
		m.dayStop, err = parseDaytime(option, args[0])
	case "monthdays":
		m.monthdays, err = parseMonthdays(args[0])
		if negate {
			m.monthdays ^= allMonthdays
		}
	case "weekdays":
		m.weekdays, err = parseWeekdays(args[0])
		if negate {
			m.weekdays ^= allWeekdays
		}
	}
	return err
}

// parseDate is time_parse_date() of libxt_time.c: parts left out are the first.
func parseDate(option, arg string) (uint32, error) {
	parts := [6]uint64{1970, 1, 1, 0, 0, 0}
	most := [6]uint64{2038, 12, 31, 23, 59, 59}
	ends := [6]byte{'-', '-', 'T', ':', ':', 0}
	rest := arg
	for i := range parts {
		parts[i], rest = strtol10(rest)
		if parts[i] > most[i] || i == 0 && parts[0] < 1970 || rest != "" && rest[0] != ends[i] {
			return 0, ruleset.InWords(fmt.Errorf("--%s: %q is not a date from 1970 to 2038; write YYYY[-MM[-DD[Thh[:mm[:ss]]]]]", option, arg), "Invalid date \"%s\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]", arg)
		}
		if rest == "" {
			break
		}
		rest = rest[1:]
	}
	t := time.Date(int(parts[0]), time.Month(parts[1]), int(parts[2]), int(parts[3]), int(parts[4]), int(parts[5]), 0, time.UTC)
	if t.Unix() < 0 {
		return 0, fmt.Errorf("--%s: %q lies before 1970", option, arg)
	}
	return uint32(t.Unix()), nil
}

// parseDaytime is time_parse_minutes() of libxt_time.c.
func parseDaytime(option, arg string) (uint32, error) {
	bad := ruleset.InWords(fmt.Errorf("--%s: %q is not a time of day; write hh:mm[:ss], from 00:00:00 to 23:59:59", option, arg), "invalid time \"%s\" specified, should be hh:mm[:ss] format and within the boundaries", arg)
	hour, rest := strtol10(arg)
	if !strings.HasPrefix(rest, ":") || hour > 23 {
		return 0, bad
	}
	minute, rest := strtol10(rest[1:])
	second := uint64(0)
	if strings.HasPrefix(rest, ":") {
		second, rest = strtol10(rest[1:])
	}
	if rest != "" || minute > 59 || second > 59 {
		return 0, bad
	}
	return uint32(hour*3600 + minute*60 + second), nil
}

// segments splits a list at commas; each part is cut to n characters, and nothing
// after the last comma is no part (my_strseg() of libxt_time.c).
func segments(list string, n int) []string {
	parts := strings.Split(list, ",")
	if parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	for i := range parts {
		parts[i] = cut(parts[i], n)
	}
	return parts
}

func parseMonthdays(arg string) (days uint32, err error) {
	for _, part := range segments(arg, 2) {
		v, rest, ok := strtou(part)
		if part != "" && (!ok || rest != "" || v > 31) {
			return 0, ruleset.InWords(fmt.Errorf("--monthdays: %q is not a day from 1 to 31", part), "%s is not a valid day for --monthdays", part)
		}
		days |= 1 << v
	}
	return days, nil
}

func parseWeekdays(arg string) (days uint8, err error) {
	for _, part := range segments(arg, 3) {
		v, rest, ok := strtou(part)
		if ok && rest == "" && v != 0 {
			days |= uint8(1 << (v % 32))
			continue
		}
		found := false
		for day, name := range weekdayNames {
			if len(part) >= 2 && day > 0 && part[:2] == name[:2] {
				days, found = days|1<<day, true
			}
		}
		if !found {
			return 0, ruleset.InWords(fmt.Errorf("--weekdays: %q is not a day; give 1 (Monday) to 7, or Mon to Sun", part), "%s is not a valid day specifier", part)
		}
	}
	return days, nil
}

// Done is called after the last option.
func (m *timeMatch) Done(*ruleset.Env) error {
	if m.given["contiguous"] && m.dayStart < m.dayStop {
		return ruleset.InWords(fmt.Errorf("--contiguous: the time does not run over midnight; give a --timestop before --timestart"), "time: --contiguous only makes sense when stoptime is smaller than starttime")
	}
	return cmp.Or(m.notBoth("utc", "localtz"), m.notBoth("utc", "kerneltz"))
}

// Match gives the match itself.
func (m *timeMatch) Match() ruleset.Match { return m }

// Word is "time".
func (m *timeMatch) Word() string { return "time" }

// Args prints as time_save() of libxt_time.c, which always prints the default end.
func (m *timeMatch) Args() []string {
	return m.args(func(days uint64, last int, name func(int) string) string { return daysText(days, 1, last, name) })
}

// ExactArgs has all bits of the days, and an end at the epoch: time_save() prints them as
// if they were not there.
func (m *timeMatch) ExactArgs() []string {
	if m.monthdays&^1 == m.monthdays && m.weekdays&^1 == m.weekdays && m.monthdays != 0 && m.weekdays != 0 && m.dateStop != 0 {
		return nil
	}
	days := func(days uint64, last int, _ func(int) string) string {
		return daysText(days, 0, last, func(d int) string {
			if d == 0 && last == 7 {
				return "32" // shifts by 0, and no day is 0
			}
			return fmt.Sprint(d)
		})
	}
	args := m.args(days)
	if m.weekdays == 0 {
		args[slices.Index(args, "--weekdays")+1] = "8"
	}
	if m.dateStop == 0 {
		args = append(args, "--datestop", "1970-01-01T00:00:00")
	}
	return args
}

// args has the days in the form that a function gives them.
func (m *timeMatch) args(daysText func(days uint64, last int, name func(day int) string) string) []string {
	args := []string{"-m", "time"}
	if m.dayStart != 0 || m.dayStop != dayEnd {
		args = append(args, "--timestart", daytimeText(m.dayStart), "--timestop", daytimeText(m.dayStop))
	}
	if m.monthdays != allMonthdays {
		args = append(args, "--monthdays", daysText(uint64(m.monthdays), 31, func(d int) string { return fmt.Sprint(d) }))
	}
	if m.weekdays != allWeekdays {
		args = append(args, "--weekdays", daysText(uint64(m.weekdays), 7, func(d int) string { return weekdayNames[d] }))
	}
	args = append(args, dateArgs("--datestart", m.dateStart)...)
	args = append(args, dateArgs("--datestop", m.dateStop)...)
	if m.kernelTZ() {
		args = append(args, "--kerneltz")
	}
	if m.given["contiguous"] {
		args = append(args, "--contiguous")
	}
	return args
}

func daytimeText(s uint32) string { return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60) }

func daysText(days uint64, first, last int, name func(day int) string) string {
	var s []string
	for d := first; d <= last; d++ {
		if days>>d&1 != 0 {
			s = append(s, name(d))
		}
	}
	return strings.Join(s, ",")
}

func dateArgs(option string, date uint32) []string {
	if date == 0 {
		return nil
	}
	return []string{option, time.Unix(int64(date), 0).UTC().Format("2006-01-02T15:04:05")}
}

// Check is time_mt_check(); what it refuses cannot be written.
func (m *timeMatch) Check(*ruleset.Place) error { return nil }

// Eval is time_mt(). What the kernel's time zone is nobody knows here.
func (m *timeMatch) Eval(f *packet.Facts) pred.Answer {
	now := f.World.Clock
	if m.kernelTZ() || now < uint64(m.dateStart) || now > uint64(m.dateStop) {
		return pred.No
	}
	t, today := time.Unix(int64(now), 0).UTC(), uint32(now%(dayEnd+1))
	after, before := today >= m.dayStart, today <= m.dayStop
	switch {
	case m.dayStart < m.dayStop && !(after && before), !after && !before:
		return pred.No
	case m.given["contiguous"] && before:
		t = t.AddDate(0, 0, -1)
	}
	weekday := (t.Weekday()+6)%7 + 1 // Sunday is 7
	return pred.Bool(m.weekdays>>weekday&1 != 0 && m.monthdays>>t.Day()&1 != 0)
}

// kernelTZ says that times are in the time zone of the kernel.
func (m *timeMatch) kernelTZ() bool { return m.given["localtz"] || m.given["kerneltz"] }

// Lower gives the same in predicates.
func (m *timeMatch) Lower(*ruleset.Place) pred.Pred {
	if m.kernelTZ() {
		return pred.Unsupported{Reason: "time --kerneltz reads the time zone that a program has told the kernel (sys_tz, net/netfilter/xt_time.c), which BPF cannot read"}
	}
	return pred.Time{
		DateStart: m.dateStart, DateStop: m.dateStop, DayStart: m.dayStart, DayStop: m.dayStop,
		Monthdays: m.monthdays, Weekdays: uint32(m.weekdays), Contiguous: m.given["contiguous"],
	}
}
