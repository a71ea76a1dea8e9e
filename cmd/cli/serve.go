package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/compat/lock"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/serve"
	"github.com/bpftables/bpftables/engine/serve/client"
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
	// Nobody may read what is logged any more; that must not end the server. Tools that it
	// runs do not inherit this, as they would if the signal were ignored.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	path := client.Socket(s.caller.Getenv(client.SocketEnv))
	l, err := serve.Listen(path)
	if err != nil {
		return err
	}
	engines := serve.NewEngines()
	server := serve.New(serve.Options{
		Run:     func(c *caller.Caller, args []string) int { return RunFor(c, args, engines.Use) },
		Engines: engines,
		Jobs:    []serve.Job{mend(engines), tend(engines), rest(engines)},
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
			return bothFamilies(engines, (*apply.Engine).Tend)
		},
	}
}

// mend is the job that puts back what another program has taken from our table in
// nf_tables.
func mend(engines *serve.Engines) serve.Job {
	return serve.Job{
		Name: "mend", On: serve.Started | serve.Taken, Every: time.Minute,
		Run: func(ctx context.Context, _ *serve.Namespace) error {
			for {
				busy := false
				err := bothFamilies(engines, func(e *apply.Engine, locked func(func() error) error) error {
					return e.Mend(func(change func() error) error {
						busy = true
						return locked(func() error {
							busy = false
							return change()
						})
					})
				})
				if err != nil || !busy || !serve.Pause(ctx, mendAgain) {
					return err
				}
			}
		},
	}
}

// mendAgain is when the server looks again that found the lock taken.
const mendAgain = 50 * time.Millisecond

// restTime is how long rules stay as they are before code, and the early stage, is made of them
// anew.
const restTime = 3 * time.Second

// restStep is how often the server looks meanwhile.
const restStep = restTime / 10

// rest is the job that makes code of rules that were changed in place and have stayed as they are
// since, and lets the early stage, where it is on, follow interfaces, addresses and hooks.
func rest(engines *serve.Engines) serve.Job {
	return serve.Job{
		Name: "rest", On: serve.Started | serve.Changed | serve.Links | serve.Addresses, Every: time.Minute, Rest: time.Second,
		Run: func(ctx context.Context, _ *serve.Namespace) error {
			changed, err := tendEarly(engines)
			for rested := time.Duration(0); rested < restTime; rested += restStep {
				if err != nil || len(changed) == 0 || !serve.Pause(ctx, restStep) {
					return err
				}
				var now map[packet.Family]string
				if now, err = tendEarly(engines); !maps.Equal(now, changed) {
					changed, rested = now, -restStep
				}
			}
			return bothFamilies(engines, func(e *apply.Engine, locked func(func() error) error) error {
				if changed[e.Family()] == "" {
					return nil
				}
				return e.Compile(changed[e.Family()], locked)
			})
		},
	}
}

// tendEarly lets the early stage follow the namespace, and names the rules of which code, or an early
// stage, is to be made anew.
func tendEarly(engines *serve.Engines) (map[packet.Family]string, error) {
	changed := map[packet.Family]string{}
	err := bothFamilies(engines, func(e *apply.Engine, locked func(func() error) error) error {
		name, err := e.TendEarly(locked)
		if err == nil && name == "" {
			name, err = e.Interpreted()
		}
		if name != "" {
			changed[e.Family()] = name
		}
		return err
	})
	return changed, err
}

// bothFamilies gives a job the engines of the namespace, and a function that runs changes
// under the xtables lock, if nobody has it.
func bothFamilies(engines *serve.Engines, job func(*apply.Engine, func(func() error) error) error) error {
	var errs []error
	self := caller.Self(nil, io.Discard, io.Discard)
	for _, family := range bothOf {
		errs = append(errs, engines.Use(family, self, func(e *apply.Engine) error {
			return job(e, func(change func() error) error { return unlessLocked(self, change) })
		}))
	}
	return errors.Join(errs...)
}

// unlessLocked runs a change under the xtables lock, if nobody has it.
func unlessLocked(c *caller.Caller, change func() error) error {
	held, err := lock.Aside(c)
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
