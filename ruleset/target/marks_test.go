package target

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// marks are both marks of a packet of a tracked connection.
type marks struct{ mark, ctMark uint32 }

// apply does what the action says that later rules see.
func (m *marks) apply(a pred.Action) {
	read := map[pred.Field]*uint32{pred.FieldMark: &m.mark, pred.FieldCtMark: &m.ctMark}
	if s, is := pred.MarkChange(a.Effect); is {
		*read[s.Dst] = s.Apply(*read[s.Dst], *read[s.Src])
	}
}

func randomMarkArgs(r *rand.Rand) []string {
	value := fmt.Sprintf("0x%x", r.Uint32())
	masked := value + fmt.Sprintf("/0x%x", r.Uint32())
	mask := func() string { return fmt.Sprintf("0x%x", r.Uint32()) }
	shift := []string{"--left-shift-mark", "--right-shift-mark"}[r.IntN(2)]
	bits := fmt.Sprint(r.IntN(32))
	forms := [][]string{
		{"MARK", "--set-mark", value}, {"MARK", "--set-mark", masked}, {"MARK", "--set-xmark", masked},
		{"MARK", "--and-mark", value}, {"MARK", "--or-mark", value}, {"MARK", "--xor-mark", value},
		{"CONNMARK", "--set-mark", masked}, {"CONNMARK", "--set-xmark", masked}, {"CONNMARK", "--and-mark", value},
		{"CONNMARK", "--or-mark", value}, {"CONNMARK", "--xor-mark", value},
		{"CONNMARK", "--set-xmark", masked, shift, bits},
		{"CONNMARK", "--save-mark", "--nfmask", mask(), "--ctmask", mask()},
		{"CONNMARK", "--restore-mark", "--nfmask", mask(), "--ctmask", mask()},
		{"CONNMARK", "--save-mark", "--nfmask", mask(), "--ctmask", mask(), shift, bits},
		{"CONNMARK", "--restore-mark", "--nfmask", mask(), "--ctmask", mask(), shift, bits},
		{"CONNMARK", "--save-mark"}, {"CONNMARK", "--restore-mark", "--mask", mask()},
	}
	return forms[r.IntN(len(forms))]
}

// TestMarksAsNetfilter sends one packet through a chain of random operations on
// both marks; after each of them the marks must be those that the actions say.
func TestMarksAsNetfilter(t *testing.T) {
	ref := newReference(t)
	r := rand.New(rand.NewPCG(3, 18))
	env := &ruleset.Env{Family: packet.IPv4, Bases: tables.Bases("filter")}
	now := marks{}
	text := "*filter\n-A OUTPUT -j MARK --set-mark 0\n-A OUTPUT -j CONNMARK --set-mark 0\n"
	const operations = 300
	for range operations {
		args := randomMarkArgs(r)
		target, err := readTarget(env, args)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		now.apply(target.Lower(&ruleset.Place{Family: env.Family, Bases: env.Bases}))
		text += fmt.Sprintf("-A OUTPUT -j %s\n-A OUTPUT -m mark --mark 0x%x -m connmark --mark 0x%x\n",
			strings.Join(args, " "), now.mark, now.ctMark)
	}
	ref.shell(t, "iptables-legacy-restore -w 60", text+"COMMIT\n")
	ref.shell(t, "ip link set lo up && ping -q -c 1 -W 1 127.0.0.1", "")
	checked := 0
	for _, line := range strings.Split(ref.shell(t, "iptables-legacy-save -c -t filter", ""), "\n") {
		if !strings.Contains(line, "-m connmark --mark") {
			continue
		}
		checked++
		if strings.HasPrefix(line, "[0:0]") {
			t.Errorf("after %d operations netfilter has other marks than %s", checked, line)
			break
		}
	}
	if checked != operations && !t.Failed() {
		t.Errorf("%d operations checked, want %d", checked, operations)
	}
}

// shell runs a command line in the namespace.
func (r *reference) shell(t *testing.T, command, stdin string) string {
	t.Helper()
	cmd := exec.Command("ip", "netns", "exec", r.ns, "sh", "-c", command)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return string(out)
}
