package target

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var clusteripKind = &ruleset.TargetKind{
	Name:     "CLUSTERIP",
	Families: ruleset.OnlyIPv4,
	Doc:      "share an address between hosts; no kernel since Linux 6.3 has it",
	Options: []ruleset.Option{
		{Name: "new", Help: "make a new cluster address"},
		{Name: "hashmode", NArgs: 1, Help: "sourceip, sourceip-sourceport or sourceip-sourceport-destport"},
		{Name: "clustermac", NArgs: 1, Help: "link address of the cluster, a multicast address"},
		{Name: "total-nodes", NArgs: 1, Help: "number of hosts, at most 16"},
		{Name: "local-node", NArgs: 1, Help: "number of this host"},
		{Name: "hash-init", NArgs: 1, Help: "seed of the hash"},
	},
	New: func() ruleset.TargetBuilder { return &ClusterIP{Mode: "sourceip"} },
}

const clusterMaxNodes = 16

// ClusterIP is -j CLUSTERIP.
type ClusterIP struct {
	used
	Mode             string
	MAC              [6]byte
	Total, LocalNode uint16
	HashInit         uint32
}

// Set takes one option.
func (c *ClusterIP) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := c.once(option, negate); err != nil {
		return err
	}
	var (
		n   uint64
		err error
	)
	switch option {
	case "hashmode":
		c.Mode = args[0]
		switch c.Mode {
		case "sourceip", "sourceip-sourceport", "sourceip-sourceport-destport":
		default:
			return ruleset.InWords(fmt.Errorf("unknown hashmode %q; sourceip, sourceip-sourceport or sourceip-sourceport-destport", c.Mode), "Unknown hashmode \"%s\"", c.Mode)
		}
	case "clustermac":
		return c.setMAC(args[0])
	case "total-nodes":
		n, err = number(args[0], 0, clusterMaxNodes)
		c.Total = uint16(n)
	case "local-node":
		n, err = number(args[0], 0, clusterMaxNodes)
		c.LocalNode = uint16(n)
	case "hash-init":
		n, err = number(args[0], 0, maxUint32)
		c.HashInit = uint32(n)
	}
	return err
}

func (c *ClusterIP) setMAC(s string) error {
	parts := strings.Split(s, ":")
	if len(parts) != len(c.MAC) {
		return ruleset.InWords(fmt.Errorf("%q is not a link address; give six hexadecimal bytes", s), "Invalid MAC address specified.")
	}
	for i, p := range parts {
		b, err := strconv.ParseUint(p, 16, 8)
		if err != nil || len(p) > 2 {
			return fmt.Errorf("%q is not a link address; give six hexadecimal bytes", s)
		}
		c.MAC[i] = byte(b)
	}
	if c.MAC[0]&1 == 0 {
		return ruleset.InWords(fmt.Errorf("%s is not a multicast link address; its first byte must be odd", s), "MAC has to be a multicast ethernet address")
	}
	return nil
}

// Done asks for all options but --hash-init, or for none.
func (c *ClusterIP) Done(*ruleset.Env) error {
	if len(c.used) == 0 {
		return nil
	}
	for _, o := range []string{"new", "hashmode", "clustermac", "total-nodes", "local-node"} {
		if err := c.need(o); err != nil {
			return err
		}
	}
	return nil
}

// Target gives the target that was built.
func (c *ClusterIP) Target() ruleset.Target { return c }

// Word is the name after -j.
func (c *ClusterIP) Word() string { return "CLUSTERIP" }

func (c *ClusterIP) mac() string {
	return strings.ToUpper(fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x",
		c.MAC[0], c.MAC[1], c.MAC[2], c.MAC[3], c.MAC[4], c.MAC[5]))
}

// Args is the text after -j.
func (c *ClusterIP) Args() []string {
	if !c.has("new") {
		return []string{"CLUSTERIP"}
	}
	return []string{
		"CLUSTERIP", "--new", "--hashmode", c.Mode, "--clustermac", c.mac(),
		"--total-nodes", decimal(c.Total), "--local-node", decimal(c.LocalNode), "--hash-init", decimal(c.HashInit),
	}
}

// List is the text of iptables -L.
func (c *ClusterIP) List(ruleset.Names) string {
	if !c.has("new") {
		return "CLUSTERIP"
	}
	return fmt.Sprintf("CLUSTERIP hashmode=%s clustermac=%s total_nodes=%d local_node=%d hash_init=%d",
		c.Mode, c.mac(), c.Total, c.LocalNode, c.HashInit)
}

// Check refuses it: the kernels that bpftables runs on do not have it.
func (c *ClusterIP) Check(*ruleset.Place) error {
	return errors.New("the kernel has no CLUSTERIP since Linux 6.3; use -m cluster")
}

// NeedsConntrack says yes (clusterip_tg_check(), net/ipv4/netfilter/ipt_CLUSTERIP.c
// of Linux 6.1).
func (c *ClusterIP) NeedsConntrack() bool { return true }

// Lower gives its words.
func (c *ClusterIP) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.NewOpaque(ruleset.ExactArgsOf(c)))
}
