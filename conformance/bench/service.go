package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bpftables/bpftables/conformance/flood"
)

// The command is started again for the two ends of the service; these variables
// say as which, and how long a client asks.
const (
	roleVariable = "BENCH_ROLE"
	timeVariable = "BENCH_TIME"
	roleService  = "service"
	roleClient   = "client"
)

// Requests and answers are so long; a client asks on so many connections, so often on each.
const (
	requestSize = 64
	connections = 4
	askEvery    = time.Millisecond
)

// play runs as one of the ends.
func play(role string) error {
	if role == roleService {
		return serviceMain()
	}
	return clientMain()
}

// serviceMain answers until its input ends.
func serviceMain() error {
	l, err := net.Listen("tcp4", fmt.Sprintf(":%d", servicePort))
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go answer(c)
		}
	}()
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, l.Close())
}

func answer(c net.Conn) {
	defer c.Close()
	var b [requestSize]byte
	for {
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return // the client has gone
		}
		if _, err := c.Write(b[:]); err != nil {
			return
		}
	}
}

// answers is what a client found.
type answers struct {
	Answered int
	Took     time.Duration
	P50, P99 time.Duration
}

// clientMain asks for a while and prints answers.
func clientMain() error {
	length, err := time.ParseDuration(os.Getenv(timeVariable))
	if err != nil {
		return err
	}
	start := time.Now()
	var mu sync.Mutex
	var all []time.Duration
	var out answers
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			mine, answered := askUntil(start.Add(length))
			mu.Lock()
			defer mu.Unlock()
			all, out.Answered = append(all, mine...), out.Answered+answered
		})
	}
	wg.Wait()
	out.Took = time.Since(start)
	if len(all) > 0 {
		slices.Sort(all)
		out.P50, out.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// askUntil asks on one connection at a fixed rate. What comes too late is asked as
// soon as possible, and its time counts from when it should have been asked: a service
// that stands still for a second is not one slow answer but a thousand. Requests
// without an answer at the end count with the time until then.
func askUntil(end time.Time) (took []time.Duration, answered int) {
	next := time.Now()
	defer func() {
		for ; next.Before(end); next = next.Add(askEvery) {
			took = append(took, end.Sub(next))
		}
	}()
	c, err := net.DialTimeout("tcp4", net.JoinHostPort(flood.Address4, fmt.Sprint(servicePort)), time.Until(end))
	if err != nil {
		return took, 0
	}
	defer c.Close()
	if err := c.SetDeadline(end); err != nil {
		return took, 0
	}
	for ; next.Before(end); next = next.Add(askEvery) {
		since := next
		if wait := time.Until(next); wait > 0 {
			time.Sleep(wait)
			since = time.Now()
		}
		if err := ask(c); err != nil {
			break
		}
		took = append(took, time.Since(since))
		answered++
	}
	return took, answered
}

func ask(c net.Conn) error {
	var b [requestSize]byte
	if _, err := c.Write(b[:]); err != nil {
		return err
	}
	_, err := io.ReadFull(c, b[:])
	return err
}

// startService runs the service on a processor of the host.
func startService(h *flood.Host, cpu int) (end func() error, err error) {
	cmd, out, err := start(h.Space, cpu, roleService, "")
	if err != nil {
		return nil, err
	}
	line, err := out.ReadString('\n')
	end = func() error { return errors.Join(cmd.in.Close(), cmd.Wait()) }
	if err != nil || strings.TrimSpace(line) != "ready" {
		return nil, fmt.Errorf("service: %q, %w", line, errors.Join(err, end()))
	}
	return end, nil
}

// startClient asks from the far end.
func startClient(h *flood.Host, cpu int, length time.Duration) (a *answers, wait func() error, err error) {
	cmd, out, err := start(h.Far, cpu, roleClient, length.String())
	if err != nil {
		return nil, nil, err
	}
	a = &answers{}
	return a, func() error {
		err := json.NewDecoder(out).Decode(a)
		return errors.Join(err, cmd.in.Close(), cmd.Wait())
	}, nil
}

// child is a process with a pipe to its input.
type child struct {
	*exec.Cmd
	in io.WriteCloser
}

// start runs this program again in a role.
func start(s *flood.Space, cpu int, role, length string) (c *child, out *bufio.Reader, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	err = s.Do(func() error {
		if err := flood.Bind(cpu); err != nil {
			return err
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), roleVariable+"="+role, timeVariable+"="+length)
		cmd.Stderr = os.Stderr
		// In a group of its own: a terminal's interrupt is for the benchmark, whose
		// end then ends the input.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		c, out = &child{cmd, in}, bufio.NewReader(pipe)
		return cmd.Start()
	})
	return c, out, err
}
