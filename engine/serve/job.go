package serve

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
)

// Event is a set of things that a job may wait for.
type Event uint8

// The events.
const (
	// Started comes once: the server has begun, or has found the namespace.
	Started Event = 1 << iota
	// Changed comes after a command that ran in the namespace, whatever it was.
	Changed
	// Links and Addresses come when an interface of the namespace, or an address of
	// one, came, went or changed.
	Links
	Addresses
	// Mounts comes when something was mounted or unmounted, as namespaces of
	// "ip netns" are.
	Mounts
	// Taken comes when something was taken away from our table in nf_tables.
	Taken
)

// Job is something that the server does besides commands. Several events at a time
// are one call.
type Job struct {
	Name  string
	On    Event
	Every time.Duration // also at this interval; 0: only on events
	Rest  time.Duration // at least that long between two calls
	// Run is called in each namespace where something of ours is enforced, on a thread
	// that is in it; namespace is nil for a job of the Host, which is called
	// wherever the thread is. An error is logged, and the job goes on.
	Run  func(ctx context.Context, namespace *Namespace) error
	Host bool
}

// trigger is a job that waits for its events.
type trigger struct {
	job  Job
	wake chan struct{}
}

func newTrigger(j Job) *trigger { return &trigger{j, make(chan struct{}, 1)} }

// tell makes the job run if it waits for one of the events.
func (t *trigger) tell(e Event) {
	if t.job.On&e == 0 {
		return
	}
	select {
	case t.wake <- struct{}{}:
	default: // it is about to run anyway
	}
}

// follow runs the job on its events until the context ends.
func (t *trigger) follow(ctx context.Context, run func(Job) error, log func(string)) {
	var tick <-chan time.Time
	if t.job.Every > 0 {
		ticker := time.NewTicker(t.job.Every)
		defer ticker.Stop()
		tick = ticker.C
	}
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-tick:
		}
		said := ""
		if err := safely(func() error { return run(t.job) }); err != nil && ctx.Err() == nil {
			said = fmt.Sprintf("%s: %v", t.job.Name, err)
		}
		if said != "" && said != last {
			log(said)
		}
		last = said
		if t.job.Rest > 0 && !Pause(ctx, t.job.Rest) {
			return
		}
	}
}

// Pause waits; false when the context ends before.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// safely makes a panic an error: a job must not end the server.
func safely(run func() error) (err error) {
	defer func() {
		if why := recover(); why != nil {
			err = fmt.Errorf("panic: %v\n%s", why, debug.Stack())
		}
	}()
	return run()
}

// logged runs something of the server's that nobody waits for; a panic is logged, and does not end
// the server.
func logged(log func(string), run func()) {
	if err := safely(func() error { run(); return nil }); err != nil {
		log(err.Error())
	}
}
