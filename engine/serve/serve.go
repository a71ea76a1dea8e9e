package serve

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/thread"
	"github.com/bpftables/bpftables/compat/caller"
)

// Options say what a server does.
type Options struct {
	// Run runs one command line for a caller and gives the exit code. It is called
	// on a thread that is in the caller's namespaces, by several goroutines.
	Run func(c *caller.Caller, args []string) int
	// Engines are those that Run uses; those of a namespace are dropped when nothing
	// of ours is in it any more.
	Engines *Engines
	Jobs    []Job
	Log     func(string) // what nobody asked for
}

// Server runs commands.
type Server struct {
	o        Options
	listener *Listener
	stop     int            // an eventfd that is readable when the server is to end
	running  sync.WaitGroup // workers that have a command or wait for one
	active   atomic.Int32   // those that have a connection
	keeper   *keeper
	failed   chan error
}

// New gives a server.
func New(o Options) *Server {
	return &Server{o: o, failed: make(chan error, 1), keeper: newKeeper(o.Jobs, o.Engines.Forget, o.Log)}
}

// Serve runs the commands that come in until the context ends, and then those that
// have begun.
func (s *Server) Serve(ctx context.Context, l *Listener) error {
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	defer unix.Close(stop)
	s.listener, s.stop = l, stop
	keep, stopKeeping := context.WithCancel(context.Background())
	defer stopKeeping()
	s.keeper.start(keep)
	s.running.Add(1)
	thread.Go(s.worker)
	select {
	case <-ctx.Done():
	case err = <-s.failed:
	}
	// A client that comes from now on finds nothing, one that waits to be accepted is
	// refused by the kernel in the end: both work alone.
	err = errors.Join(err, l.hide())
	if _, stopErr := unix.Write(stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}); stopErr != nil {
		return errors.Join(err, stopErr)
	}
	s.running.Wait()
	stopKeeping()
	s.keeper.close()
	s.o.Engines.Close()
	return errors.Join(err, l.Close())
}
