package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"
)

// LookupCommand is the word with which the program, started anew, runs Lookup.
const LookupCommand = "lookup"

// lookupTime bounds a question to the name servers.
const lookupTime = 10 * time.Second

// names asks for hosts as a process in the client's namespaces does. The resolver of Go
// reads files and opens sockets on threads of its own choice, which are not in them: the
// questions go to a process, which is started on the thread of the command.
type names struct {
	env   []string
	child *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
}

// LookupNetIP asks for the addresses of a host.
func (n *names) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	words, err := n.ask(network, host)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.Addr, len(words))
	for i, w := range words {
		if addrs[i], err = netip.ParseAddr(w); err != nil {
			return nil, err
		}
	}
	return addrs, nil
}

// LookupAddr asks for the names of an address.
func (n *names) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return n.ask("addr", addr)
}

// ask puts one question to the process.
func (n *names) ask(kind, name string) ([]string, error) {
	if strings.ContainsAny(name, "\n\r") {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	if err := n.start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintln(n.in, kind, name); err != nil {
		return nil, fmt.Errorf("ask for %s: %w", name, err)
	}
	line, err := n.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", name, err)
	}
	answer, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	if answer != "ok" {
		return nil, errors.New(rest)
	}
	return strings.Fields(rest), nil
}

func (n *names) start() (err error) {
	if n.child != nil {
		return nil
	}
	child := exec.Command("/proc/self/exe", LookupCommand)
	child.Args[0] = os.Args[0]
	child.Env = n.env
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if n.in, err = child.StdinPipe(); err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return fmt.Errorf("look up names: %w", err)
	}
	n.child, n.out = child, bufio.NewReader(out)
	return nil
}

// close ends the process.
func (n *names) close() {
	if n.child == nil {
		return
	}
	n.in.Close()
	_ = n.child.Wait() // it has nothing to say any more
	n.child = nil
}

// Lookup answers the questions of a server until there are none: "ip4 HOST", "ip6 HOST"
// and "addr ADDRESS", a line each, with "ok" and the answers, or "no" and the error.
func Lookup(in io.Reader, out io.Writer) error {
	questions := bufio.NewScanner(in)
	for questions.Scan() {
		kind, name, _ := strings.Cut(questions.Text(), " ")
		answers, err := lookup(kind, name)
		line := "ok " + strings.Join(answers, " ")
		if err != nil {
			line = "no " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return questions.Err()
}

func lookup(kind, name string) (answers []string, err error) {
	ctx, stop := context.WithTimeout(context.Background(), lookupTime)
	defer stop()
	if kind == "addr" {
		return net.DefaultResolver.LookupAddr(ctx, name)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, kind, name)
	for _, a := range addrs {
		answers = append(answers, a.String())
	}
	return answers, err
}
