package conformance

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Case is a ruleset, the lab it is tried in, and packets.
type Case struct {
	Title      string
	Family     packet.Family
	Text       []byte
	Interfaces []string // of the host; empty: those that the text names
	Routes     []lab.Route
	Listen     []uint16
	Packets    []*lab.Packet
}

// Marshal writes the case as a txtar archive: title, lab, rules and packets.
func (c *Case) Marshal() []byte {
	a := &txtar.Archive{Comment: []byte(c.Title + "\n")}
	var setup strings.Builder
	fmt.Fprintf(&setup, "interfaces %s\n", strings.Join(c.Interfaces, " "))
	for _, r := range c.Routes {
		if r.Via == "" {
			fmt.Fprintf(&setup, "local %s\n", r.Prefix)
		} else {
			fmt.Fprintf(&setup, "route %s %s\n", r.Prefix, r.Via)
		}
	}
	for _, port := range c.Listen {
		fmt.Fprintf(&setup, "listen %d\n", port)
	}
	var packets strings.Builder
	for _, p := range c.Packets {
		fmt.Fprintln(&packets, p)
	}
	a.Files = []txtar.File{
		{Name: "lab", Data: []byte(setup.String())},
		{Name: rulesFile[c.Family], Data: c.Text},
		{Name: "packets", Data: []byte(packets.String())},
	}
	return txtar.Format(a)
}

var rulesFile = map[packet.Family]string{packet.IPv4: "rules.v4", packet.IPv6: "rules.v6"}

// Unmarshal reads what Marshal wrote. The file that holds the rules, rules.v4 or
// rules.v6, gives the family; the others may be missing.
func Unmarshal(data []byte) (*Case, error) {
	a := txtar.Parse(data)
	c := &Case{Title: strings.TrimSpace(string(a.Comment)), Family: packet.IPv4}
	var packets []string
	for _, f := range a.Files {
		switch f.Name {
		case "rules.v4":
			c.Text = f.Data
		case "rules.v6":
			c.Text, c.Family = f.Data, packet.IPv6
		case "lab":
			if err := c.readLab(string(f.Data)); err != nil {
				return nil, err
			}
		case "packets":
			packets = strings.Split(string(f.Data), "\n")
		default:
			return nil, fmt.Errorf("%s: not a file of a case; give lab, rules.v4 or rules.v6, and packets", f.Name)
		}
	}
	for i, line := range packets {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		p, err := lab.Parse(c.Family, line)
		if err != nil {
			return nil, fmt.Errorf("packets:%d: %w", i+1, err)
		}
		c.Packets = append(c.Packets, p)
	}
	return c, nil
}

func (c *Case) readLab(text string) error {
	for i, line := range strings.Split(text, "\n") {
		w := strings.Fields(line)
		if len(w) == 0 {
			continue
		}
		if err := c.readLabLine(w); err != nil {
			return fmt.Errorf("lab:%d: %w", i+1, err)
		}
	}
	return nil
}

func (c *Case) readLabLine(w []string) error {
	switch {
	case w[0] == "interfaces":
		c.Interfaces = w[1:]
	case w[0] == "listen" && len(w) == 2:
		n, err := strconv.ParseUint(w[1], 10, 16)
		c.Listen = append(c.Listen, uint16(n))
		return err
	case w[0] == "local" && len(w) == 2, w[0] == "route" && len(w) == 3:
		p, err := netip.ParsePrefix(w[1])
		if err != nil {
			return err
		}
		r := lab.Route{Prefix: p}
		if len(w) == 3 {
			r.Via = w[2]
		}
		c.Routes = append(c.Routes, r)
	default:
		return fmt.Errorf("%q: not known; give interfaces NAME..., local PREFIX, route PREFIX INTERFACE or listen PORT", strings.Join(w, " "))
	}
	return nil
}

// ReadCase reads the file of a case.
func ReadCase(path string) (*Case, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := Unmarshal(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// interfaces are those of the case, or those that its rules name.
func (c *Case) interfaces() []string {
	if len(c.Interfaces) > 0 {
		return c.Interfaces
	}
	return gen.Interfaces(string(c.Text), maxInterfaces)
}

// maxInterfaces bounds the interfaces that are taken from a text.
const maxInterfaces = 16
