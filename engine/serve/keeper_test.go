package serve

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/thread"
	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/compat/lock"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// deadline bounds every wait of these tests.
const deadline = time.Minute

var made atomic.Int32

// netns makes a named network namespace that goes with the test at the latest.
func netns(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	name := fmt.Sprintf("bt-keep-%d-%d", os.Getpid(), made.Add(1))
	run(t, "ip", "netns", "add", name)
	t.Cleanup(func() {
		if _, err := os.Stat("/run/netns/" + name); err == nil {
			run(t, "ip", "netns", "del", name)
		}
	})
	return name
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

// within calls f on a thread in a namespace.
func within(t *testing.T, name string, f func() error) {
	t.Helper()
	ns, err := os.Open("/run/netns/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := thread.Within(ns, f); err != nil {
		t.Fatal(err)
	}
}

// change does something with the engine of a store, under a lock of the test's own.
func change(t *testing.T, s *Engines, do func(*apply.Engine) error) error {
	c := caller.Self(strings.NewReader(""), io.Discard, io.Discard)
	c.Env = append(c.Env, lock.FileEnv+"="+filepath.Join(t.TempDir(), "lock"))
	held, err := lock.Acquire(lock.Forever, c)
	if err != nil {
		return err
	}
	defer held.Release()
	return s.Use(packet.IPv4, c, do)
}

func dropUDP(e *apply.Engine) error {
	return e.Restore(&apply.Request{Text: strings.NewReader("*filter\n-A INPUT -p udp -j DROP\nCOMMIT\n"), Output: io.Discard})
}

// seen is a call of the job of watching.
type seen struct{ inode, links string }

// watching starts a keeper with a job that reports the interfaces of namespaces.
func watching(t *testing.T, on Event) (k *keeper, calls chan seen, forgotten chan string) {
	calls, forgotten = make(chan seen, 100), make(chan string, 100)
	job := Job{Name: "watch", On: on, Run: func(ctx context.Context, n *Namespace) error {
		inode, err := attach.Netns()
		if err != nil || inode != n.Inode() {
			return fmt.Errorf("in namespace %s instead of %s: %v", inode, n.Inode(), err)
		}
		out, err := exec.Command("ip", "link").Output()
		calls <- seen{inode, string(out)}
		return err
	}}
	k = newKeeper([]Job{job}, func(cookie string) { forgotten <- cookie }, func(line string) { t.Error(line) })
	ctx, stop := context.WithCancel(context.Background())
	k.start(ctx)
	t.Cleanup(func() {
		stop()
		k.close()
	})
	return k, calls, forgotten
}

// await waits for a value that is the wanted one.
func await[T any](t *testing.T, from chan T, what string, wanted func(T) bool) {
	t.Helper()
	late := time.After(deadline)
	for {
		select {
		case v := <-from:
			if wanted(v) {
				return
			}
		case <-late:
			t.Fatal("waited in vain for ", what)
		}
	}
}

func TestKeeperTakesOverAndLetsGo(t *testing.T) {
	name, other := netns(t), netns(t)
	engines := NewEngines()
	defer engines.Close()
	var inode, cookie string
	within(t, name, func() (err error) {
		if inode, err = attach.Netns(); err != nil {
			return err
		}
		if cookie, err = attach.Cookie(); err != nil {
			return err
		}
		return change(t, engines, dropUDP)
	})
	run(t, "ip", "-n", name, "link", "add", "here", "type", "veth", "peer", "name", "there", "netns", other)

	// What an earlier server left is found.
	_, calls, forgotten := watching(t, Started|Links)
	await(t, calls, "the start", func(s seen) bool { return s.inode == inode })
	// Its interfaces are heard of.
	run(t, "ip", "-n", name, "link", "set", "here", "name", "renamed")
	await(t, calls, "the interface", func(s seen) bool { return s.inode == inode && strings.Contains(s.links, "renamed") })

	// It may end, and ends, although the server hears of its interfaces.
	run(t, "ip", "netns", "del", name)
	await(t, forgotten, "the end", func(s string) bool { return s == cookie })
	if attach.Occupies(inode) {
		t.Error("its pins are still there")
	}
	late := time.After(deadline)
	for tick := time.NewTicker(5 * time.Millisecond); strings.Contains(run(t, "ip", "-n", other, "link"), "there"); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the namespace lives on")
		}
	}
}

func TestKeeperFollowsCommands(t *testing.T) {
	name := netns(t)
	engines := NewEngines()
	defer engines.Close()
	k, calls, forgotten := watching(t, Started|Changed)
	var inode, cookie string
	within(t, name, func() (err error) {
		if inode, err = attach.Netns(); err != nil {
			return err
		}
		if cookie, err = attach.Cookie(); err != nil {
			return err
		}
		k.ran() // nothing of ours is there
		err = change(t, engines, dropUDP)
		k.ran()
		return err
	})
	await(t, calls, "the start", func(s seen) bool { return s.inode == inode })
	within(t, name, func() error { k.ran(); return nil })
	await(t, calls, "the change", func(s seen) bool { return s.inode == inode })
	within(t, name, func() error {
		err := change(t, engines, (*apply.Engine).FlushAll)
		k.ran()
		return err
	})
	await(t, forgotten, "the end", func(s string) bool { return s == cookie })
}

func TestJobsGoOn(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	lines, ended := make(chan string, 10), make(chan struct{})
	calls := 0
	tr := newTrigger(Job{Name: "test", On: Changed})
	go func() {
		defer close(ended)
		tr.follow(ctx, func(Job) error {
			calls++
			if calls == 1 {
				panic("first")
			}
			return fmt.Errorf("call %d", calls)
		}, func(line string) { lines <- line })
	}()
	tr.tell(Links) // not waited for
	tr.tell(Changed)
	await(t, lines, "the panic", func(s string) bool { return strings.HasPrefix(s, "test: panic: first") })
	tr.tell(Changed)
	await(t, lines, "the error", func(s string) bool { return s == "test: call 2" })
	stop()
	<-ended
}

func TestEnginesAreFresh(t *testing.T) {
	name := netns(t)
	mine, others := NewEngines(), NewEngines()
	defer mine.Close()
	defer others.Close()
	var first, second, third *apply.Engine
	within(t, name, func() error {
		if err := change(t, mine, func(e *apply.Engine) error { first = e; return dropUDP(e) }); err != nil {
			return err
		}
		if err := change(t, mine, func(e *apply.Engine) error { second = e; return nil }); err != nil {
			return err
		}
		// Another process removes everything and begins anew.
		if err := change(t, others, (*apply.Engine).FlushAll); err != nil {
			return err
		}
		if err := change(t, others, dropUDP); err != nil {
			return err
		}
		return change(t, mine, func(e *apply.Engine) error { third = e; return dropUDP(e) })
	})
	if first != second {
		t.Error("the engine was not kept")
	}
	if third == first {
		t.Error("an engine was used that knows what was there before")
	}
	within(t, name, func() error { return change(t, mine, (*apply.Engine).FlushAll) })
}
