// Package client hands a command line to a resident "bpftables serve".
//
// In: the arguments, environment, streams, working directory and namespaces of this
// process. Out: the exit code of the command, which the server ran with these very
// streams in these namespaces; or that there is no server that would, and the command
// must be run here. The package is on the way of every command: it uses system
// calls alone, so that it can run before the rest of the program is initialized.
//
// The two sides exchange packets over a SOCK_SEQPACKET socket. The client begins, with
// Files file descriptors: Magic, the number of arguments in four bytes, low byte first,
// and as NUL-terminated strings the arguments and then the environment. Then the server asks, and the client
// answers, until the server says Exit or Decline:
//
//	server                     client
//	Decline REASON                       run the command yourself
//	Open PATH                  Opened and a descriptor, or Refused ERRNO
//	Create PATH                the same
//	Present                    Present   a client that is gone has not answered
//	Exit CODE SIGNAL                     end like this
//
// A server that goes without having read the request resets the connection, and the
// client runs the command; one that goes later just closes it: the command may be done.
package client

// The first bytes of a request; the last one is the version of the protocol.
const Magic = "bpft\x02"

// The packets after the request, by their first byte.
const (
	Decline = 'N'
	Open    = 'O' // to read
	Create  = 'C' // to write, empty
	Opened  = 'o'
	Refused = 'e'
	Present = 'P'
	Exit    = 'X'
)

// The file descriptors of a request, in order.
const (
	Stdin = iota
	Stdout
	Stderr
	NetNS // network namespace
	MntNS // mount namespace
	CWD   // working directory
	Files // their number
)

// The variables that this package reads.
const (
	NoServeEnv = "BPFTABLES_NO_SERVE"    // not empty: there is no server
	SocketEnv  = "BPFTABLES_SERVE"       // another socket than DefaultSocket
	DebugEnv   = "BPFTABLES_SERVE_DEBUG" // not empty: say why a server is not used
)

// DefaultSocket is where the server listens.
const DefaultSocket = "/run/bpftables/serve.sock"

// Socket is the path of the socket, by the value of SocketEnv.
func Socket(env string) string {
	if env != "" {
		return env
	}
	return DefaultSocket
}

// served are the commands that a server runs. The others need nothing that a server
// keeps, or run for long in processes of their own.
func served(command string) bool {
	if len(command) > len(FacePrefix) && command[:len(FacePrefix)] == FacePrefix {
		return true
	}
	switch command {
	case "restore", "save", "list", "flush", "status", "check", "iptables", "ip6tables":
		return true
	}
	return false
}

// FacePrefix stands before the name of a program of iptables whose command line it is.
const FacePrefix = "face:"

// Multi is the program that stands for all programs of iptables: by the name that it is called
// by, or by its first argument.
const Multi = "xtables-bpf-multi"

// Arguments gives the command line that a server gets of a process: without its name, if that is
// not the name of a program of iptables, or of one that stands for all of them.
func Arguments(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	if !ofIptables(argv[0]) {
		return argv[1:]
	}
	out := append(make([]string, 0, len(argv)), FacePrefix+argv[0])
	return append(out, argv[1:]...)
}

// ofIptables says whether a path is one of iptables' programs.
func ofIptables(path string) bool {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			path = path[i+1:]
			break
		}
	}
	for _, p := range []string{"iptables", "ip6tables", "xtables-"} {
		if len(path) >= len(p) && path[:len(p)] == p {
			return true
		}
	}
	return false
}

// asksHelp says whether help may be what is asked for: it depends on the terminal, which
// the server does not ask.
func asksHelp(args []string) bool {
	for _, a := range args {
		if a == "--help" || a == "-h" {
			return true
		}
	}
	return false
}

// matters says whether the server needs a variable, given as NAME=VALUE: ours, those
// of netfilter's tools, where these are looked for, and the time zone.
func matters(variable string) bool {
	for _, p := range []string{"BPFTABLES_", "XTABLES_", "IPTABLES_LIB_DIR=", "IP6TABLES_LIB_DIR=", "PATH=", "TZ="} {
		if len(variable) >= len(p) && variable[:len(p)] == p {
			return true
		}
	}
	return false
}
