package client

import "syscall"

// Forward lets a server run the command line of this process, given without the name
// of the program. done is false when the command must be run here: nothing has been
// read from the streams or written to them then.
func Forward(args []string) (code int, done bool) {
	if len(args) == 0 || !served(args[0]) || asksHelp(args) {
		return 0, false
	}
	if off, _ := syscall.Getenv(NoServeEnv); off != "" {
		return 0, false
	}
	path, _ := syscall.Getenv(SocketEnv)
	conn, err := dial(Socket(path))
	if err != nil {
		// There is no server, or only the socket of one that was killed.
		debug("no server answers: " + err.Error())
		return 0, false
	}
	defer syscall.Close(conn)
	if err := send(conn, request(args)); err != nil {
		debug("the request cannot be sent: " + err.Error())
		return 0, false
	}
	return converse(conn)
}

// connectSeconds bounds how long a server may take to accept a command.
const connectSeconds = 5

func dial(path string) (int, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	// A server that is stopped does not take connections for ever.
	wait := syscall.Timeval{Sec: connectSeconds}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &wait); err != nil {
		syscall.Close(fd)
		return -1, err
	}
	if err := retry(func() error { return syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}) }); err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// request is the first packet.
func request(args []string) []byte {
	n := len(args)
	out := append(make([]byte, 0, 1024), Magic...)
	out = append(out, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	for _, a := range args {
		out = append(append(out, a...), 0)
	}
	for _, v := range syscall.Environ() {
		if matters(v) {
			out = append(append(out, v...), 0)
		}
	}
	return out
}

// send sends the first packet with this process's surroundings.
func send(conn int, packet []byte) error {
	fds := [Files]int{Stdin: 0, Stdout: 1, Stderr: 2}
	for i, path := range [Files]string{NetNS: "/proc/thread-self/ns/net", MntNS: "/proc/thread-self/ns/mnt", CWD: "."} {
		if path == "" {
			continue
		}
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		fds[i] = fd
	}
	return retry(func() error {
		return syscall.Sendmsg(conn, packet, syscall.UnixRights(fds[:]...), nil, syscall.MSG_NOSIGNAL)
	})
}

// retry repeats a call that a signal interrupts: the runtime of Go sends some.
func retry(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}

// lost is what a user reads when the server is killed in the middle of a command.
const lost = "bpftables: the server was killed while it ran this command, which may be done or not; see 'bpftables save', then give it again\n"

// converse answers the server until the command has ended.
func converse(conn int) (code int, done bool) {
	packet := make([]byte, 4096)
	for asked := false; ; asked = true {
		n := 0
		err := retry(func() (err error) { n, err = syscall.Read(conn, packet); return err })
		if err == syscall.ECONNRESET && !asked {
			debug("the server does not take the request")
			return 0, false
		}
		if err != nil || n == 0 {
			syscall.Write(2, []byte(lost))
			return 1, true
		}
		switch packet[0] {
		case Decline:
			debug(string(packet[1:n]))
			return 0, false
		case Open:
			open(conn, string(packet[1:n]), syscall.O_RDONLY)
		case Create:
			open(conn, string(packet[1:n]), syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC)
		case Present:
			answer(conn, []byte{Present}, nil)
		case Exit:
			if n > 2 && packet[2] != 0 {
				die(syscall.Signal(packet[2]))
			}
			return int(packet[1]), true
		}
	}
}

// open opens a file for the server: as only this process can, whose root, directory
// and /dev/fd the path is relative to, and whose umask one that is made gets.
func open(conn int, path string, flags int) {
	fd, err := -1, error(nil)
	err = retry(func() error { fd, err = syscall.Open(path, flags|syscall.O_CLOEXEC, 0o666); return err })
	if err != nil {
		errno, _ := err.(syscall.Errno)
		answer(conn, []byte{Refused, byte(errno), byte(errno >> 8)}, nil)
		return
	}
	defer syscall.Close(fd)
	answer(conn, []byte{Opened}, syscall.UnixRights(fd))
}

// answer sends a packet. When the server is gone, the next read says so.
func answer(conn int, packet, rights []byte) {
	_ = retry(func() error { return syscall.Sendmsg(conn, packet, rights, nil, syscall.MSG_NOSIGNAL) })
}

// debug says why the command is run without a server.
func debug(why string) {
	if on, _ := syscall.Getenv(DebugEnv); on != "" {
		syscall.Write(2, []byte("bpftables: working alone: "+why+"\n"))
	}
}
