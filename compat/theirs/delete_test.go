package theirs

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netns"

	"github.com/bpftables/bpftables/bpf/steady"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// What others have changed since it was looked at is not removed.
func TestDelete(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	inside, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	add := func(name string) {
		t.Helper()
		c, err := nftables.New()
		if err != nil {
			t.Fatal(err)
		}
		c.AddTable(&nftables.Table{Name: name, Family: nftables.TableFamilyIPv4})
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	count := func() int {
		t.Helper()
		c, err := nftables.New()
		if err != nil {
			t.Fatal(err)
		}
		all, err := c.ListTables()
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	add("filter")
	add("nat")
	seen, err := steady.Generation()
	if err != nil {
		t.Fatal(err)
	}
	add("another")
	n := Open(packet.IPv4, "/nowhere", nil)
	if err := n.Delete([]string{"filter", "nat"}, seen); !errors.Is(err, ErrChanged) || count() != 3 {
		t.Errorf("after a change: %v, %d tables", err, count())
	}
	if seen, err = steady.Generation(); err != nil {
		t.Fatal(err)
	}
	if err := n.Delete([]string{"filter", "nosuch"}, seen); err == nil || errors.Is(err, ErrChanged) || count() != 3 {
		t.Errorf("a table that is not there: %v, %d tables", err, count())
	}
	if err := n.Delete([]string{"filter", "nat"}, seen); err != nil || count() != 1 {
		t.Errorf("unchanged: %v, %d tables", err, count())
	}
}
