package serve

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/thread"
)

// reapEvery is how often dead namespaces are looked for that ended without an unmount,
// with their last process.
const reapEvery = time.Minute

// reapRest keeps a host on which much is mounted from being searched all the time.
const reapRest = time.Second

// reapLater is when namespaces are looked at again for the first time.
const reapLater = 50 * time.Millisecond

// keeper runs the jobs of the host and knows the namespaces that are served.
type keeper struct {
	jobs   []Job
	forget func(cookie string) // a namespace is not served any more
	log    func(string)
	hosts  []*trigger
	ended  sync.WaitGroup

	mu     sync.Mutex
	ctx    context.Context
	served map[string]*Namespace // by inode
}

func newKeeper(jobs []Job, forget func(string), log func(string)) *keeper {
	k := &keeper{forget: forget, log: log, served: map[string]*Namespace{}}
	k.jobs = append([]Job{{
		Name: "reap", On: Started | Mounts, Every: reapEvery, Rest: reapRest, Host: true,
		Run: func(ctx context.Context, _ *Namespace) error {
			err := k.reap()
			// A mount or process that went lets its namespace go a little later.
			for later := reapLater; err == nil && later < reapEvery/16 && Pause(ctx, later); later *= 2 {
				err = k.reap()
			}
			return err
		},
	}}, jobs...)
	return k
}

// start begins the jobs, in the namespaces that an earlier server or other commands
// left something in.
func (k *keeper) start(ctx context.Context) {
	k.ctx = ctx
	for _, j := range k.jobs {
		if !j.Host {
			continue
		}
		t := newTrigger(j)
		k.hosts = append(k.hosts, t)
		k.ended.Go(func() { t.follow(ctx, func(j Job) error { return j.Run(ctx, nil) }, k.log) })
	}
	k.ended.Go(func() { logged(k.log, func() { watchMounts(ctx, func() { k.tell(Mounts) }, k.log) }) })
	k.tell(Started)
	if err := k.takeOver(); err != nil {
		k.log(err.Error())
	}
}

func (k *keeper) tell(e Event) {
	for _, t := range k.hosts {
		t.tell(e)
	}
}

// reap removes what dead namespaces left and lets go those with nothing of ours.
func (k *keeper) reap() error {
	// The sockets of a served namespace are users of it.
	held := map[string]int{}
	k.mu.Lock()
	for inode, n := range k.served {
		held[inode] = n.sockets()
	}
	k.mu.Unlock()
	err := attach.Reap(held)
	k.mu.Lock()
	var gone []*Namespace
	for inode, n := range k.served {
		if !attach.Occupies(inode) {
			gone = append(gone, n)
			delete(k.served, inode)
		}
	}
	k.mu.Unlock()
	for _, n := range gone {
		k.release(n)
	}
	return err
}

func (k *keeper) release(n *Namespace) {
	n.close()
	k.forget(n.cookie)
}

// takeOver finds the namespaces in which something is enforced.
func (k *keeper) takeOver() error {
	all, err := attach.Occupied()
	if err != nil {
		return err
	}
	for _, inode := range all {
		ns, err := attach.Find(inode)
		if err != nil {
			return err
		}
		if ns == nil {
			continue // reap removes it
		}
		err = thread.Within(ns, func() error {
			ns.Close() // an open namespace counts as one that is in use
			k.ran()
			return nil
		})
		ns.Close()
		if err != nil {
			return fmt.Errorf("namespace %s: %w", inode, err)
		}
	}
	return nil
}

// ran is called on the thread of a command after it: its namespace is served from now on,
// or not any more.
func (k *keeper) ran() {
	inode, err := attach.Netns()
	if err != nil {
		k.log(err.Error())
		return
	}
	k.mu.Lock()
	n := k.served[inode]
	occupied := attach.Occupies(inode)
	switch {
	case k.ctx.Err() != nil:
	case n == nil && occupied:
		if n, err = openNamespace(); err != nil {
			k.log(err.Error())
			break
		}
		k.served[inode] = n
		n.start(k.ctx, k.jobs, k.log)
	case n != nil && !occupied:
		delete(k.served, inode)
		k.ended.Go(func() { logged(k.log, func() { k.release(n) }) })
	case n != nil:
		n.tell(Changed)
	}
	k.mu.Unlock()
}

// close ends all jobs; the context has ended.
func (k *keeper) close() {
	k.mu.Lock()
	for inode, n := range k.served {
		delete(k.served, inode)
		k.ended.Go(func() { logged(k.log, func() { k.release(n) }) })
	}
	k.mu.Unlock()
	k.ended.Wait()
}
