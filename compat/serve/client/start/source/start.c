// The client of "bpftables serve" as the first thing that the process does: before the
// runtime of Go begins, which takes longer than all of this. It is package client in
// C, for the case that a server takes the command; in every other case it returns, and
// Go starts as if nothing had been.
//
// Compiled to position-independent bytes without data (gen.go). It has the stack that the
// kernel made, and no library.

typedef unsigned long word;
typedef unsigned int u32;

#define NR_read 0
#define NR_write 1
#define NR_open 2
#define NR_close 3
#define NR_kill 62
#define NR_getpid 39
#define NR_socket 41
#define NR_connect 42
#define NR_sendmsg 46
#define NR_exit_group 231

#define O_CLOEXEC 02000000
#define AF_UNIX 1
#define SOCK_SEQPACKET 5
#define SOCK_CLOEXEC 02000000
#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define MSG_NOSIGNAL 0x4000
#define EINTR 4
#define ECONNRESET 104

// Files of a request, pieces of a request at most, bytes of a packet at most.
#define FILES 6
#define PIECES 1000
#define PACKET 4352

struct iovec {
	const void *base;
	word len;
};

struct msghdr {
	void *name;
	u32 namelen, pad0;
	struct iovec *iov;
	word iovlen;
	void *control;
	word controllen;
	u32 flags, pad1;
};

struct rights {
	word len;
	u32 level, type;
	u32 fds[FILES];
};

struct address {
	unsigned short family;
	char path[108];
};

static inline long sys(long nr, word a, word b, word c)
{
	long got;

	do
		__asm__ volatile("syscall" : "=a"(got) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	while (got == -EINTR);
	return got;
}

static word length(const char *s)
{
	word n = 0;

	while (s[n])
		n++;
	return n;
}

// after gives what follows a prefix; 0 when it is not there.
static const char *after(const char *s, const char *prefix)
{
	for (; *prefix; s++, prefix++)
		if (*s != *prefix)
			return 0;
	return s;
}

static int same(const char *a, const char *b)
{
	const char *rest = after(a, b);

	return rest && !*rest;
}

// served is client.served and client.asksHelp.
static int served(long argc, char **argv)
{
	const char *c;

	if (argc < 2)
		return 0;
	c = argv[1];
	if (!same(c, "restore") && !same(c, "save") && !same(c, "list") && !same(c, "flush") && !same(c, "status") &&
	    !same(c, "check") && !same(c, "iptables") && !same(c, "ip6tables"))
		return 0;
	for (long i = 1; i < argc; i++)
		if (same(argv[i], "-h") || same(argv[i], "--help"))
			return 0;
	return 1;
}

// matters is client.matters.
static int matters(const char *v)
{
	return after(v, "BPFTABLES_") || after(v, "XTABLES_") || after(v, "IPTABLES_LIB_DIR=") ||
	       after(v, "IP6TABLES_LIB_DIR=") || after(v, "PATH=") || after(v, "TZ=");
}

static long dial(const char *path)
{
	struct address a;
	word n = length(path);
	long fd;

	if (n >= sizeof(a.path))
		return -1;
	a.family = AF_UNIX;
	for (word i = 0; i <= n; i++)
		a.path[i] = path[i];
	fd = sys(NR_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && sys(NR_connect, fd, (word)&a, 2 + n + 1) < 0) {
		sys(NR_close, fd, 0, 0);
		return -1;
	}
	return fd;
}

static long send(long conn, struct iovec *iov, word pieces, struct rights *r, word fds)
{
	struct msghdr m;

	m.name = 0;
	m.namelen = m.pad0 = 0;
	m.iov = iov;
	m.iovlen = pieces;
	m.control = fds ? r : 0;
	m.controllen = fds ? 16 + 4 * fds : 0;
	m.flags = m.pad1 = 0;
	if (fds) {
		r->len = m.controllen;
		r->level = SOL_SOCKET;
		r->type = SCM_RIGHTS;
	}
	return sys(NR_sendmsg, conn, (word)&m, MSG_NOSIGNAL);
}

// request sends the first packet.
static long request(long conn, long argc, char **argv, char **env)
{
	struct iovec iov[PIECES];
	struct rights r;
	unsigned char head[9];
	word pieces = 1;
	long n = argc - 1, sent = -1;

	head[0] = 'b', head[1] = 'p', head[2] = 'f', head[3] = 't', head[4] = 1;
	head[5] = n, head[6] = n >> 8, head[7] = n >> 16, head[8] = n >> 24;
	iov[0].base = head;
	iov[0].len = sizeof(head);
	for (char **v = argv + 1; v < argv + argc && pieces < PIECES; v++, pieces++) {
		iov[pieces].base = *v;
		iov[pieces].len = length(*v) + 1;
	}
	for (char **v = env; *v && pieces < PIECES; v++) {
		if (!matters(*v))
			continue;
		iov[pieces].base = *v;
		iov[pieces++].len = length(*v) + 1;
	}
	if (pieces == PIECES)
		return -1; // Go takes any number
	for (u32 i = 0; i < 3; i++)
		r.fds[i] = i;
	r.fds[3] = sys(NR_open, (word)"/proc/thread-self/ns/net", O_CLOEXEC, 0);
	r.fds[4] = sys(NR_open, (word)"/proc/thread-self/ns/mnt", O_CLOEXEC, 0);
	r.fds[5] = sys(NR_open, (word)".", O_CLOEXEC, 0);
	if ((int)r.fds[3] >= 0 && (int)r.fds[4] >= 0 && (int)r.fds[5] >= 0)
		sent = send(conn, iov, pieces, &r, FILES);
	for (u32 i = 3; i < FILES; i++)
		if ((int)r.fds[i] >= 0)
			sys(NR_close, r.fds[i], 0, 0);
	return sent;
}

// answer sends a packet of n bytes, and a descriptor if it is not negative.
static void answer(long conn, unsigned char a, unsigned char b, unsigned char c, word n, long fd)
{
	unsigned char packet[3];
	struct iovec iov;
	struct rights r;

	packet[0] = a, packet[1] = b, packet[2] = c;
	iov.base = packet;
	iov.len = n;
	r.fds[0] = fd;
	send(conn, &iov, 1, &r, fd >= 0);
}

static void open_for(long conn, const char *path)
{
	long fd = sys(NR_open, (word)path, O_CLOEXEC, 0);

	if (fd < 0) {
		answer(conn, 'e', -fd, -fd >> 8, 3, -1);
		return;
	}
	answer(conn, 'o', 0, 0, 1, fd);
	sys(NR_close, fd, 0, 0);
}

static void exits(int code)
{
	sys(NR_exit_group, code, 0, 0);
}

static void lost(void)
{
	static const char text[] = "bpftables: the server was killed while it ran this command, which may be done or not; "
				   "see 'bpftables save', then give it again\n";

	sys(NR_write, 2, (word)text, sizeof(text) - 1);
	exits(1);
}

// converse answers the server until the command has ended; it returns when the
// command must be run here.
static void converse(long conn)
{
	unsigned char packet[PACKET];

	for (int asked = 0;; asked = 1) {
		long n = sys(NR_read, conn, (word)packet, sizeof(packet) - 1);

		if (n == -ECONNRESET && !asked)
			return;
		if (n <= 0)
			lost();
		packet[n] = 0;
		switch (packet[0]) {
		case 'N':
			return;
		case 'O':
			open_for(conn, (char *)packet + 1);
			break;
		case 'P':
			answer(conn, 'P', 0, 0, 1, -1);
			break;
		case 'X':
			if (n > 2 && packet[2])
				sys(NR_kill, sys(NR_getpid, 0, 0, 0), packet[2], 0);
			exits(packet[1]);
		}
	}
}

// start gets the stack of a new process: the number of arguments, the arguments, 0, the
// environment, 0.
__attribute__((section(".text.start"))) void start(long *stack)
{
	long argc = stack[0], conn;
	char **argv = (char **)(stack + 1), **env = argv + argc + 1;
	const char *path = "/run/bpftables/serve.sock", *v;

	if (!served(argc, argv))
		return;
	for (char **e = env; *e; e++) {
		if ((v = after(*e, "BPFTABLES_NO_SERVE=")) && *v)
			return;
		if ((v = after(*e, "BPFTABLES_SERVE_DEBUG=")) && *v)
			return; // Go says why
		if ((v = after(*e, "BPFTABLES_SERVE=")) && *v)
			path = v;
	}
	conn = dial(path);
	if (conn < 0)
		return;
	if (request(conn, argc, argv, env) >= 0)
		converse(conn);
	sys(NR_close, conn, 0, 0);
}
