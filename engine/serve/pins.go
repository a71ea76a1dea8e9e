package serve

import (
	"context"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/attach"
)

// pins keeps the links of a namespace at their hooks, and hears of pins that are removed or
// unmounted.
type pins struct {
	mu    sync.Mutex
	hold  *attach.Hold
	watch *os.File // inotify; nil: the kernel has none
	fd    int      // of watch
}

func openPins(netns string) *pins {
	p := &pins{hold: attach.HoldOf(netns)}
	if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
		p.watch, p.fd = os.NewFile(uintptr(fd), "inotify"), fd
	}
	return p
}

// pinEvents are those of a directory of pins. An unmount is told unasked.
const pinEvents = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_DELETE_SELF | unix.IN_ONLYDIR

// refresh follows the pins that are there now.
func (p *pins) refresh() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold == nil {
		return nil
	}
	if p.watch != nil {
		for _, dir := range p.hold.Dirs() {
			// One that is not there is heard of by the directory that it comes to.
			_, _ = unix.InotifyAddWatch(p.fd, dir, pinEvents)
		}
	}
	if err := p.hold.Refresh(); err != nil {
		return fmt.Errorf("links: %w", err)
	}
	return nil
}

// hear calls changed whenever pins have changed, until the context ends.
func (p *pins) hear(ctx context.Context, changed func()) {
	events := make([]byte, 4096)
	for p.watch != nil {
		if _, err := p.watch.Read(events); err != nil || ctx.Err() != nil {
			return
		}
		changed()
	}
}

// close lets go of all.
func (p *pins) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.hold.Close()
	p.hold = nil
	if p.watch != nil {
		p.watch.Close()
	}
	return err
}
