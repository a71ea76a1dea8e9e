package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/thread"
)

// Namespace is a network namespace in which something of ours is enforced. It is held
// by a socket that hears of its interfaces: that keeps it from being removed no more than
// our links in it do, and unlike an open namespace file it does not count as a
// user of it (attach.Reap).
type Namespace struct {
	inode  string
	cookie string
	socket *nl.NetlinkSocket
	tables *nl.NetlinkSocket // hears of changes of nf_tables; nil: the kernel has none
	pins   *pins
	jobs   []*trigger
	stop   context.CancelFunc
	ended  sync.WaitGroup
}

// Inode names the namespace, as attach does.
func (n *Namespace) Inode() string { return n.inode }

// openNamespace opens the namespace of the calling thread.
func openNamespace() (*Namespace, error) {
	inode, err := attach.Netns()
	if err != nil {
		return nil, err
	}
	cookie, err := attach.Cookie()
	if err != nil {
		return nil, err
	}
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("interfaces of namespace %s: %w", inode, err)
	}
	n := &Namespace{inode: inode, cookie: cookie, socket: socket, pins: openPins(inode)}
	if tables, err := nl.Subscribe(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES); err == nil {
		n.tables = tables
	}
	return n, nil
}

// sockets is how many sockets keep the namespace.
func (n *Namespace) sockets() int {
	if n.tables == nil {
		return 1
	}
	return 2
}

// start begins the jobs of the namespace and what tells them of events.
func (n *Namespace) start(ctx context.Context, jobs []Job, log func(string)) {
	ctx, n.stop = context.WithCancel(ctx)
	for _, j := range jobs {
		if j.Host {
			continue
		}
		t := newTrigger(j)
		n.jobs = append(n.jobs, t)
		n.ended.Go(func() {
			t.follow(ctx, func(j Job) error {
				return n.do(func() error { return j.Run(ctx, n) })
			}, log)
		})
	}
	n.ended.Go(func() { logged(log, func() { n.hear(ctx, n.socket, interfaces, log) }) })
	if n.tables != nil {
		n.ended.Go(func() { logged(log, func() { n.hear(ctx, n.tables, takenAway, log) }) })
	}
	refresh := func() {
		if err := n.pins.refresh(); err != nil {
			log(fmt.Sprintf("namespace %s: %v", n.inode, err))
		}
	}
	refresh()
	n.ended.Go(func() {
		logged(log, func() {
			n.pins.hear(ctx, func() {
				refresh()
				n.tell(Taken)
			})
		})
	})
	n.tell(Started)
}

// tell passes an event to the jobs.
func (n *Namespace) tell(e Event) {
	for _, t := range n.jobs {
		t.tell(e)
	}
}

// do runs something on a thread in the namespace.
func (n *Namespace) do(f func() error) error {
	fd, err := unix.IoctlRetInt(n.socket.GetFd(), unix.SIOCGSKNS)
	if err != nil {
		return os.NewSyscallError("SIOCGSKNS", err)
	}
	ns := os.NewFile(uintptr(fd), "network namespace")
	defer ns.Close()
	return thread.Within(ns, func() error {
		ns.Close() // an open namespace counts as one that is in use
		return safely(f)
	})
}

// hear turns messages of the kernel into events until the socket is closed.
func (n *Namespace) hear(ctx context.Context, socket *nl.NetlinkSocket, meaning hearing, log func(string)) {
	for {
		messages, from, err := socket.Receive()
		if ctx.Err() != nil {
			return
		}
		switch {
		case errors.Is(err, unix.ENOBUFS):
			n.tell(meaning.all) // some were lost
			continue
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			log(fmt.Sprintf("%s of namespace %s: %v", meaning.what, n.inode, err))
			return
		case from.Pid != 0:
			continue // not of the kernel
		}
		var e Event
		for i := range messages {
			e |= meaning.of(&messages[i])
		}
		n.tell(e)
	}
}

// hearing is what the messages of a socket mean.
type hearing struct {
	what string
	all  Event // when messages were lost
	of   func(*syscall.NetlinkMessage) Event
}

var interfaces = hearing{"interfaces", Links | Addresses, func(m *syscall.NetlinkMessage) Event {
	switch m.Header.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		return Links
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		return Addresses
	}
	return 0
}}

// nfgenSize is the size of struct nfgenmsg, with which messages of nf_tables begin.
const nfgenSize = 4

// takenAway hears of tables, chains and rules that are removed, put to sleep or added. The first attribute of each
// is the name of the table (NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE).
var takenAway = hearing{"nf_tables", Taken, func(m *syscall.NetlinkMessage) Event {
	if m.Header.Type>>8 != unix.NFNL_SUBSYS_NFTABLES || len(m.Data) < nfgenSize {
		return 0
	}
	switch m.Header.Type & 0xff {
	case unix.NFT_MSG_DELTABLE, unix.NFT_MSG_DELCHAIN, unix.NFT_MSG_DELRULE,
		unix.NFT_MSG_NEWTABLE, unix.NFT_MSG_NEWCHAIN, unix.NFT_MSG_NEWRULE:
	default:
		return 0
	}
	attributes, err := nl.ParseRouteAttr(m.Data[nfgenSize:])
	if err != nil {
		return Taken
	}
	for _, a := range attributes {
		if a.Attr.Type&nl.NLA_TYPE_MASK == unix.NFTA_TABLE_NAME && nl.BytesToString(a.Value) != anchor.Name {
			return 0
		}
	}
	return Taken
}}

// close ends the jobs and lets the namespace go.
func (n *Namespace) close() {
	n.stop()
	n.socket.Close()
	if n.tables != nil {
		n.tables.Close()
	}
	_ = n.pins.close() // the descriptors are gone, whatever it says
	n.ended.Wait()
}
