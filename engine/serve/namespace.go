package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/attach"
)

// Namespace is a network namespace in which something of ours is enforced. It is held
// by a socket that hears of its interfaces: that keeps it from being removed no more than
// our links in it do, and unlike an open namespace file it does not count as a
// user of it (attach.Reap).
type Namespace struct {
	inode  string
	cookie string
	socket *nl.NetlinkSocket
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
	return &Namespace{inode: inode, cookie: cookie, socket: socket}, nil
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
	n.ended.Go(func() { n.hear(ctx, log) })
	n.tell(Started)
}

// tell passes an event to the jobs.
func (n *Namespace) tell(e Event) {
	for _, t := range n.jobs {
		t.tell(e)
	}
}

// do runs something on a thread in the namespace.
func (n *Namespace) do(f func() error) (err error) {
	onThread(func() {
		var fd int
		if fd, err = unix.IoctlRetInt(n.socket.GetFd(), unix.SIOCGSKNS); err != nil {
			err = os.NewSyscallError("SIOCGSKNS", err)
			return
		}
		err = os.NewSyscallError("setns", unix.Setns(fd, unix.CLONE_NEWNET))
		unix.Close(fd)
		if err == nil {
			err = safely(f)
		}
	})
	return err
}

// hear turns messages of the kernel into events until the socket is closed.
func (n *Namespace) hear(ctx context.Context, log func(string)) {
	for {
		messages, from, err := n.socket.Receive()
		if ctx.Err() != nil {
			return
		}
		switch {
		case errors.Is(err, unix.ENOBUFS):
			n.tell(Links | Addresses) // some were lost
			continue
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			log(fmt.Sprintf("interfaces of namespace %s: %v", n.inode, err))
			return
		case from.Pid != 0:
			continue // not of the kernel
		}
		var e Event
		for _, m := range messages {
			switch m.Header.Type {
			case unix.RTM_NEWLINK, unix.RTM_DELLINK:
				e |= Links
			case unix.RTM_NEWADDR, unix.RTM_DELADDR:
				e |= Addresses
			}
		}
		n.tell(e)
	}
}

// close ends the jobs and lets the namespace go.
func (n *Namespace) close() {
	n.stop()
	n.socket.Close()
	n.ended.Wait()
}
