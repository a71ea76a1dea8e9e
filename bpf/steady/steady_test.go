package steady_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/nftables"
	nl "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/steady"
)

// inNamespace runs the rest of the test in a network namespace of its own.
func inNamespace(t *testing.T) netns.NsHandle {
	t.Helper()
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
	t.Cleanup(func() { inside.Close() })
	return inside
}

// room is what the kernel takes of a transaction at once.
const room = 4 << 20

// restless changes something again and again until it is told to end.
func restless(t *testing.T, change func(turn int) error) (end func()) {
	t.Helper()
	var stop atomic.Bool
	var done sync.WaitGroup
	done.Go(func() {
		for turn := 0; !stop.Load(); turn++ {
			if err := change(turn); err != nil {
				t.Errorf("change %d: %v", turn, err)
				return
			}
		}
	})
	return func() { stop.Store(true); done.Wait() }
}

// table makes a table anew with n chains; none: it goes.
func table(inside netns.NsHandle, name string, n int) error {
	c, err := nftables.New(nftables.WithNetNSFd(int(inside)), nftables.WithSockOptions(func(c *nl.Conn) error {
		return errors.Join(c.SetWriteBuffer(room), c.SetReadBuffer(room))
	}))
	if err != nil {
		return err
	}
	t := c.AddTable(&nftables.Table{Name: name, Family: nftables.TableFamilyIPv4})
	c.DelTable(t)
	if n > 0 {
		c.AddTable(t)
	}
	for i := range n {
		c.AddChain(&nftables.Chain{Name: fmt.Sprintf("a chain with a long name, number %d", i), Table: t})
	}
	return c.Flush()
}

// Chains that are there all the time are listed once, however others change the table
// that is listed before theirs.
func TestTablesThatOthersChange(t *testing.T) {
	inside := inNamespace(t)
	const kept, passing = 1500, 200
	if err := table(inside, "kept", kept); err != nil {
		t.Fatal(err)
	}
	end := restless(t, func(turn int) error { return table(inside, "passing", passing*(1-turn%2)) })
	defer end()
	for range 30 {
		c, err := nftables.New()
		if err != nil {
			t.Fatal(err)
		}
		var list []*nftables.Chain
		err = steady.Tables(func() (err error) { list, err = c.ListChains(); return err })
		if errors.Is(err, steady.ErrRestless) {
			continue // which is no wrong list
		}
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]int{}
		for _, chain := range list {
			found[chain.Table.Name]++
		}
		if found["kept"] != kept || found["passing"] != 0 && found["passing"] != passing {
			t.Fatalf("chains by table: %v; want %d kept, and all or none of %d passing", found, kept, passing)
		}
	}
}

// Interfaces that are there all the time are listed, however others come and go.
func TestLinksThatOthersChange(t *testing.T) {
	inside := inNamespace(t)
	const pairs = 60
	for i := range pairs {
		if out, err := exec.Command("ip", "link", "add", fmt.Sprintf("a%d", i), "type", "veth", "peer", "name", fmt.Sprintf("b%d", i)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	end := restless(t, func(turn int) error {
		h, err := netlink.NewHandleAt(inside, unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "passing"}}
		return errors.Join(h.LinkAdd(bridge), h.LinkDel(bridge))
	})
	defer end()
	for range 40 {
		links, err := steady.Links()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]int{}
		for _, l := range links {
			found[l.Attrs().Name]++
		}
		delete(found, "passing")
		if len(found) != 2*pairs+1 {
			t.Fatalf("%d interfaces are listed, want %d", len(found), 2*pairs+1)
		}
		for name, n := range found {
			if n != 1 {
				t.Fatalf("%s is listed %d times", name, n)
			}
		}
	}
}
