package target

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var nfqueueKind = &ruleset.TargetKind{
	Name:     "NFQUEUE",
	Families: ruleset.Both,
	Doc:      "let a program that listens on a queue decide about the packet",
	Options: []ruleset.Option{
		{Name: "queue-num", NArgs: 1, Help: "number of the queue, 0 to 65535; default 0"},
		{Name: "queue-balance", NArgs: 1, Help: "FIRST:LAST: spread flows over these queues"},
		{Name: "queue-bypass", Help: "accept the packet when no program listens"},
		{Name: "queue-cpu-fanout", Help: "with --queue-balance: take the queue by processor, not by flow"},
	},
	New: func() ruleset.TargetBuilder { return &NFQueue{Total: 1} },
}

// NFQueue is -j NFQUEUE.
type NFQueue struct {
	used
	Num               uint16
	Total             uint16 // number of queues
	Bypass, CPUFanout bool
}

// Set takes one option.
func (q *NFQueue) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := q.once(option, negate); err != nil {
		return err
	}
	switch option {
	case "queue-num":
		n, err := number(args[0], 0, 0xffff)
		q.Num = uint16(n)
		return err
	case "queue-balance":
		return q.setBalance(args[0])
	case "queue-bypass":
		q.Bypass = true
	case "queue-cpu-fanout":
		q.CPUFanout = true
	}
	return nil
}

// setBalance reads FIRST:LAST; a missing FIRST is 0, a missing LAST 65535
// (xtopt_parse_mint(), libxtables).
func (q *NFQueue) setBalance(s string) error {
	parts := strings.Split(s, ":")
	ends := [2]uint64{0, 0xffff}
	for i, p := range parts {
		switch v, rest, ok := leadingNumber(p); {
		case i == len(ends):
			return ruleset.InWordsOf(fmt.Errorf("%q is not a range; give FIRST:LAST", s), "Too many components for option \"--queue-balance\" (max: 2)\n")
		case p == "":
		case !ok || v > 0xffff:
			return ruleset.InWordsOf(fmt.Errorf("%q is not a number from 0 to 65535", p),
				"bad value for option \"--queue-balance\" near \"%s\", or out of range (0-65535).\n", strings.Join(parts[i:], ":"))
		case rest != "":
			return ruleset.InWordsOf(fmt.Errorf("%q stands behind a number; give FIRST:LAST", rest),
				"Argument to \"--queue-balance\" has unexpected characters near \"%s\".\n", strings.Join(append([]string{rest}, parts[i+1:]...), ":"))
		default:
			ends[i] = v
		}
	}
	if len(parts) != len(ends) {
		return ruleset.InWords(fmt.Errorf("%q is not a range; give FIRST:LAST", s), "Bad range \"%s\"", s)
	}
	if ends[0] >= ends[1] {
		return ruleset.InWords(fmt.Errorf("%d should be less than %d", ends[0], ends[1]), "%d should be less than %d", ends[0], ends[1])
	}
	q.Num, q.Total = uint16(ends[0]), uint16(ends[1]-ends[0]+1)
	return nil
}

// Done refuses what does not go together.
func (q *NFQueue) Done(*ruleset.Env) error {
	if q.CPUFanout && !q.has("queue-balance") {
		return ruleset.InWordsOf(errors.New("--queue-cpu-fanout also requires --queue-balance"), "option \"--queue-cpu-fanout\" also requires \"--queue-balance\".\n")
	}
	return q.exclusive("queue-num", "queue-balance")
}

// Target gives the target that was built.
func (q *NFQueue) Target() ruleset.Target { return q }

// Word is the name after -j.
func (q *NFQueue) Word() string { return "NFQUEUE" }

// Args is the text after -j.
func (q *NFQueue) Args() []string {
	a := []string{"NFQUEUE"}
	if q.Total > 1 {
		a = append(a, "--queue-balance", q.balance())
	} else {
		a = append(a, "--queue-num", decimal(q.Num))
	}
	if q.Bypass {
		a = append(a, "--queue-bypass")
	}
	if q.CPUFanout {
		a = append(a, "--queue-cpu-fanout")
	}
	return a
}

func (q *NFQueue) balance() string {
	return fmt.Sprintf("%d:%d", q.Num, uint32(q.Num)+uint32(q.Total)-1)
}

// List is the text of iptables -L.
func (q *NFQueue) List(ruleset.Names) string {
	return "NFQUEUE " + strings.ReplaceAll(strings.Join(q.Args()[1:], " "), "--queue-", "")
}

// Check refuses a balance over all 65536 queues: their number is kept in 16 bits
// (nfqueue_tg_check(), net/netfilter/xt_NFQUEUE.c).
func (q *NFQueue) Check(*ruleset.Place) error {
	if q.Total == 0 {
		return errors.New("a balance over 65536 queues is one too many; give 0:65534 or 1:65535")
	}
	return nil
}

// Lower gives the queues; what becomes of the packet is decided behind this table.
func (q *NFQueue) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.Queue{From: q.Num, To: q.Num + q.Total - 1, Bypass: q.Bypass, CPUFanout: q.CPUFanout})
}

func nfqueueOf(e pred.Queue) *NFQueue {
	return &NFQueue{Num: e.From, Total: e.To - e.From + 1, Bypass: e.Bypass, CPUFanout: e.CPUFanout}
}
