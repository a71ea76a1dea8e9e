package serve

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// watchMounts calls changed whenever something is mounted or unmounted, until the
// context ends (mounts_poll(), fs/proc_namespace.c).
func watchMounts(ctx context.Context, changed func(), log func(string)) {
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		log(fmt.Sprintf("mounts: %v", err))
		return
	}
	defer unix.Close(stop)
	woken := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(woken)
		_, _ = unix.Write(stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // an eventfd takes it
	})
	defer func() {
		if !unhook() {
			<-woken
		}
	}()
	info, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		log(fmt.Sprintf("mounts: %v", err))
		return
	}
	defer info.Close()
	poll := []unix.PollFd{{Fd: int32(info.Fd()), Events: unix.POLLPRI}, {Fd: int32(stop), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(poll, -1); err != nil && err != unix.EINTR {
			log(fmt.Sprintf("mounts: %v", err))
			return
		}
		if poll[1].Revents != 0 {
			return
		}
		if poll[0].Revents != 0 {
			changed()
		}
	}
}
