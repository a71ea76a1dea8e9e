package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/compat/lock"
	"github.com/bpftables/bpftables/compat/serve"
	"github.com/bpftables/bpftables/compat/serve/client"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// serveCmd is "bpftables serve".
type serveCmd struct{}

// Help is the long help.
func (serveCmd) Help() string {
	return `Example:
  bpftables serve &

While it runs, other commands let it do their work, in the network namespace that they
are called in, and print the same. Without it, or when it is another version, they work
alone. Rules are enforced by the kernel: nothing changes for packets when the server
ends or is killed. SIGTERM ends it when the commands that it runs are done, a second
one at once.`
}

// Run serves until a signal comes.
func (serveCmd) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal has its usual effect
	path := client.Socket(s.caller.Getenv(client.SocketEnv))
	l, err := serve.Listen(path)
	if err != nil {
		return err
	}
	engines := serve.NewEngines()
	server := serve.New(serve.Options{
		Run:     func(c *caller.Caller, args []string) int { return RunFor(c, args, engines.Get) },
		Engines: engines,
		Jobs:    []serve.Job{tend(engines)},
		Log:     func(line string) { fmt.Fprintln(s.err, "bpftables:", line) },
	})
	fmt.Fprintln(s.err, "bpftables: serving on", path)
	return server.Serve(ctx, l)
}

// tend is the job that keeps lookups fast where rules were changed in place.
func tend(engines *serve.Engines) serve.Job {
	return serve.Job{
		Name: "tend", On: serve.Started | serve.Changed, Every: time.Minute, Rest: time.Second,
		Run: func(context.Context, *serve.Namespace) error {
			var errs []error
			self := caller.Self(nil, io.Discard, io.Discard)
			for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
				e, done, err := engines.Get(family, self)
				if err == nil {
					err = e.Tend(func(change func() error) error { return unlessLocked(self, change) })
					done()
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	}
}

// unlessLocked runs a change under the xtables lock, if nobody has it.
func unlessLocked(c *caller.Caller, change func() error) error {
	held, err := lock.Acquire(0, c)
	if errors.Is(err, lock.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer held.Release()
	return change()
}

// lookupCmd is "bpftables lookup", which a server starts.
type lookupCmd struct{}

// Run answers questions.
func (lookupCmd) Run(s *streams) error { return serve.Lookup(s.in, s.out) }
