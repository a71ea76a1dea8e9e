package lab

import (
	"fmt"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
)

// Forget empties the host's connection tracking.
func (l *Lab) Forget() error {
	h, err := netlink.NewHandleAt(l.ns[host], 12) // NETLINK_NETFILTER
	if err != nil {
		return err
	}
	defer h.Close()
	return h.ConntrackTableFlush(netlink.ConntrackTable)
}

// Mark gives all packets that the host receives from now on a mark, before any
// table sees them; 0 stops it.
func (l *Lab) Mark(mark uint32) error {
	if mark == l.received {
		return nil
	}
	l.received = mark
	script := "table inet btmark { }\ndelete table inet btmark\n"
	if mark != 0 {
		script += fmt.Sprintf("table inet btmark {\nchain pre {\ntype filter hook prerouting priority -450;\nmeta mark set %#x\n}\n}\n", mark)
	}
	cmd := exec.Command("ip", "netns", "exec", l.Host(), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

// Group puts an interface of the host into a device group.
func (l *Lab) Group(name string, group uint32) error {
	i := l.portByName(name)
	if i < 0 {
		return fmt.Errorf("lab: the host has no interface %q", name)
	}
	if l.ports[i].group == group {
		return nil
	}
	h, err := l.handle(host)
	if err != nil {
		return err
	}
	defer h.Close()
	l.ports[i].group = group
	link := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: l.ports[i].index}}
	return h.LinkSetGroup(link, int(group))
}
