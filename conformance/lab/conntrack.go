package lab

import (
	"bytes"
	"os"
	"sort"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Connections lists the entries of the host's connection tracking, and once more those that have a
// helper, sorted, without what depends on time.
func (l *Lab) Connections() ([]string, error) {
	var lines []string
	err := l.inside(host, func() error {
		text, err := os.ReadFile("/proc/thread-self/net/nf_conntrack")
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			lines = append(lines, connection(string(line)))
		}
		helped, err := helpers()
		lines = append(lines, helped...)
		return err
	})
	sort.Strings(lines)
	return lines, err
}

// ForgetConnections empties the host's connection tracking.
func (l *Lab) ForgetConnections() error {
	h, err := netlink.NewHandleAt(l.ns[host], unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer h.Close()
	return h.ConntrackTableFlush(netlink.ConntrackTable)
}

// connection takes the fields of a line of ct_seq_show()
// (net/netfilter/nf_conntrack_standalone.c) but the timeout and the use count.
func connection(line string) string {
	var keep []string
	for i, word := range strings.Fields(line) {
		if i != 4 && !strings.HasPrefix(word, "use=") {
			keep = append(keep, word)
		}
	}
	return strings.Join(keep, " ")
}
