package attach_test

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestSwitchLosesNothing replaces generations under traffic that all of them accept.
// A packet that is dropped at OUTPUT or meets an empty slot fails in its sender.
func TestSwitchLosesNothing(t *testing.T) {
	inNamespace(t)
	receiver(t, "127.0.0.1:9")
	s := open(t, packet.IPv4)
	var stop atomic.Bool
	var sent, lost atomic.Uint64
	var senders sync.WaitGroup
	for range 2 {
		c, err := net.Dial("udp", "127.0.0.1:9")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		senders.Go(func() {
			for !stop.Load() {
				if _, err := c.Write([]byte("x")); errors.Is(err, unix.EPERM) {
					lost.Add(1)
				}
				sent.Add(1)
			}
		})
	}
	for i := range 8 {
		hook := []packet.Hook{packet.Output, packet.Input}[i%2]
		g := apply(t, s, dropPort(packet.IPv4, "filter", packet.Output, 10), dropPort(packet.IPv4, "security", hook, 11))
		if err := attach.Quiesce(); err != nil {
			t.Fatal(err)
		}
		if err := s.Retire(g.Number()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RemoveAll(); err != nil {
		t.Fatal(err)
	}
	stop.Store(true)
	senders.Wait()
	if lost.Load() != 0 {
		t.Errorf("%d of %d packets lost", lost.Load(), sent.Load())
	}
}
