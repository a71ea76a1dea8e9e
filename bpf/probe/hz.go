package probe

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// HZ is the kernel's CONFIG_HZ, the number of jiffies per second: the resolution of
// the coarse clock is one of them (include/linux/hrtimer.h, LOW_RES_NSEC).
func HZ() (uint32, error) {
	var res unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &res); err != nil {
		return 0, fmt.Errorf("resolution of the coarse clock: %w", err)
	}
	tick := time.Duration(res.Nano())
	if tick <= 0 {
		return 0, fmt.Errorf("the coarse clock has a resolution of %v", tick)
	}
	return uint32((time.Second + tick/2) / tick), nil
}
