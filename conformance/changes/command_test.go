package changes

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// change makes one change: a batch by restore -n, a single edit by that or by the
// command for single rules.
func (c *changer) change(edits []edit) error {
	if len(edits) == 1 && c.single && c.model.r.IntN(2) == 0 {
		args := edits[0].args()
		c.recent = append(c.recent, strings.Join(args, " "))
		name := map[packet.Family]string{packet.IPv4: "iptables", packet.IPv6: "ip6tables"}[c.family]
		_, err := c.try("", append([]string{name}, args...)...)
		return err
	}
	input := text(edits)
	c.recent = append(c.recent, input)
	_, err := c.try(input, c.withFamily("restore", "-n")...)
	return err
}

func (c *changer) restore(input string) {
	c.command([]byte(input), c.withFamily("restore", "--strict")...)
}

// saved are the rules of INPUT as the program prints them.
func (c *changer) saved() string {
	var b strings.Builder
	for _, line := range strings.Split(c.command(nil, c.withFamily("save")...), "\n") {
		if strings.HasPrefix(line, "-A INPUT ") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

func (c *changer) withFamily(args ...string) []string {
	if c.family == packet.IPv6 {
		args = append(args, "-6")
	}
	return args
}

// command runs the program in the host; it must not fail.
func (c *changer) command(input []byte, args ...string) string {
	out, err := c.try(string(input), args...)
	if err != nil {
		c.Fatalf("%v\n%s", err, input)
	}
	return out
}

// try runs the program in the host.
func (c *changer) try(input string, args ...string) (out string, err error) {
	err = c.host.Do(func() error {
		cmd := exec.Command(*program, args...)
		cmd.Stdin = strings.NewReader(input)
		var said bytes.Buffer
		cmd.Stderr = &said
		b, err := cmd.Output()
		out = string(b)
		if err != nil {
			return fmt.Errorf("bpftables %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
		}
		return nil
	})
	return out, err
}
