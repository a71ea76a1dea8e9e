package pred

import (
	"fmt"
	"time"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Time asks the wall clock (time_mt(), net/netfilter/xt_time.c): seconds since 1970 from DateStart to
// DateStop, seconds of the day from DayStart to DayStop, over midnight where that is not later, and bits of
// days. It may answer differently when it is asked twice.
type Time struct {
	DateStart, DateStop uint32
	DayStart, DayStop   uint32
	Monthdays, Weekdays uint32
	Contiguous          bool // what is after midnight counts for the day before
	Slot                int
}

func (Time) isPred() {}

func (p Time) String() string {
	return fmt.Sprintf("time(%d..%d, %d..%d, monthdays=%#x, weekdays=%#x, contiguous=%t)",
		p.DateStart, p.DateStop, p.DayStart, p.DayStop, p.Monthdays, p.Weekdays, p.Contiguous)
}

const day = 24 * 60 * 60

func (p Time) eval(f *packet.Facts) Answer {
	now := f.World.Clock
	if now < uint64(p.DateStart) || now > uint64(p.DateStop) {
		return No
	}
	today := uint32(now % day)
	switch {
	case p.DayStart < p.DayStop:
		if today < p.DayStart || today > p.DayStop {
			return No
		}
	case today < p.DayStart && today > p.DayStop:
		return No
	case p.Contiguous && today <= p.DayStop:
		now -= day
	}
	if weekday := (uint32(now/day)+3)%7 + 1; p.Weekdays>>weekday&1 == 0 {
		return No
	}
	return Bool(p.Monthdays>>(monthDay(uint32(now/day))%32)&1 != 0)
}

// monthDay is localtime_3(): the kernel's table ends with 2039, and takes what follows for days of December
// of that year.
func monthDay(days uint32) uint32 {
	if last := uint32(time.Date(2039, 12, 31, 0, 0, 0, 0, time.UTC).Unix() / day); days > last {
		return 31 + days - last
	}
	return uint32(time.Unix(int64(days)*day, 0).UTC().Day())
}
