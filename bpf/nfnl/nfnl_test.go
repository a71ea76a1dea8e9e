package nfnl_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/nfnl"
)

// dial connects in a network namespace of the test's own.
func dial(t *testing.T) *nfnl.Conn {
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
	c, err := nfnl.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// message is one for nf_tables of IPv4, with names as attributes.
func message(t *testing.T, what uint16, flags netlink.HeaderFlags, names ...string) netlink.Message {
	t.Helper()
	var all []netlink.Attribute
	for i, n := range names {
		all = append(all, netlink.Attribute{Type: []uint16{1, 3}[i], Data: append([]byte(n), 0)}) // NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME
	}
	data, err := netlink.MarshalAttributes(all)
	if err != nil {
		t.Fatal(err)
	}
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | what), Flags: netlink.Request | flags},
		Data:   append([]byte{unix.NFPROTO_IPV4, unix.NFNETLINK_V0, 0, 0}, data...),
	}
}

func mark(which netlink.HeaderType) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: which, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES},
	}
}

// transaction sends messages as one change.
func transaction(c *nfnl.Conn, messages ...netlink.Message) error {
	all := append([]netlink.Message{mark(unix.NFNL_MSG_BATCH_BEGIN)}, messages...)
	if err := c.Send(append(all, mark(unix.NFNL_MSG_BATCH_END))...); err != nil {
		return err
	}
	_, err := c.Receive()
	return err
}

// TestLongList: a list that takes many answers comes whole.
func TestLongList(t *testing.T) {
	c := dial(t)
	const n = 3000
	add := []netlink.Message{message(t, unix.NFT_MSG_NEWTABLE, netlink.Create, "table")}
	for i := range n {
		add = append(add, message(t, unix.NFT_MSG_NEWCHAIN, netlink.Create, "table", fmt.Sprintf("chain %d", i)))
	}
	add[n].Header.Flags |= netlink.Acknowledge
	if err := errors.Join(c.Grow(4<<20), transaction(c, add...)); err != nil {
		t.Fatal(err)
	}
	chains, err := c.Execute(message(t, unix.NFT_MSG_GETCHAIN, netlink.Dump))
	if err != nil || len(chains) != n {
		t.Fatalf("%d chains, %v; want %d", len(chains), err, n)
	}
}

// TestRefused: what the kernel refuses is an error by its number, of a question and of a
// transaction, and is not taken for an answer to the next question.
func TestRefused(t *testing.T) {
	c := dial(t)
	if _, err := c.Execute(message(t, unix.NFT_MSG_GETTABLE, netlink.Acknowledge, "none")); !errors.Is(err, unix.ENOENT) {
		t.Fatalf("a table that is not there: %v", err)
	}
	err := transaction(c,
		message(t, unix.NFT_MSG_NEWTABLE, netlink.Create, "table"),
		message(t, unix.NFT_MSG_DELTABLE, 0, "none"), message(t, unix.NFT_MSG_DELTABLE, netlink.Acknowledge, "no other"))
	if !errors.Is(err, unix.ENOENT) {
		t.Fatalf("a transaction that cannot be: %v", err)
	}
	if tables, err := c.Execute(message(t, unix.NFT_MSG_GETTABLE, netlink.Dump)); err != nil || len(tables) != 0 {
		t.Fatalf("%d tables, %v; want none", len(tables), err)
	}
	if err := transaction(c, message(t, unix.NFT_MSG_NEWTABLE, netlink.Create|netlink.Acknowledge, "table")); err != nil {
		t.Fatal(err)
	}
	one, err := c.Execute(message(t, unix.NFT_MSG_GETTABLE, netlink.Acknowledge, "table"))
	if err != nil || len(one) != 1 {
		t.Fatalf("%d answers, %v; want one", len(one), err)
	}
}
