package changes

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/bpftables/bpftables/conformance/flood"
)

// traffic sends the flows of a model to a host and counts what passes its filter.
type traffic struct {
	host  *flood.Host
	in    *flood.Feeder
	flows int
	stop  atomic.Bool
	ended chan error
}

// newTraffic prepares the frames, and the counters behind the filter, which let
// nothing on to the host.
func newTraffic(h *flood.Host, flows []flow) (*traffic, error) {
	var packets [][]byte
	var rules strings.Builder
	rules.WriteString("table inet passed {\nchain in {\ntype filter hook input priority 200; policy drop;\n")
	for i := range flows {
		raw, err := flows[i].header.Packet(50)
		if err != nil {
			return nil, err
		}
		packets = append(packets, raw)
		fmt.Fprintf(&rules, "udp dport %d counter drop\n", firstPort+i)
	}
	rules.WriteString("}\n}\n")
	if err := h.Command("nft", rules.String()); err != nil {
		return nil, err
	}
	in, err := h.NewFeeder(flood.Options{Packets: packets, CPU: -1})
	return &traffic{host: h, in: in, flows: len(flows)}, err
}

// start sends until pause.
func (t *traffic) start() {
	t.stop.Store(false)
	t.ended = make(chan error, 1)
	go func() { t.ended <- t.in.FeedAll(flood.Batch, func() bool { return !t.stop.Load() }) }()
}

// pause ends the sending; what was sent has then been judged.
func (t *traffic) pause() error {
	t.stop.Store(true)
	return <-t.ended
}

// sent is how many packets of flow i have been sent.
func (t *traffic) sent() (of func(i int) uint64, err error) {
	all, err := t.in.Sent()
	n := uint64(t.flows)
	return func(i int) uint64 {
		if uint64(i) < all%n {
			return all/n + 1
		}
		return all / n
	}, err
}

var counted = regexp.MustCompile(`counter packets (\d+) `)

// passed is how many packets of each flow have passed the filter.
func (t *traffic) passed() (packets []uint64, err error) {
	out, err := t.host.Output("nft", "list", "table", "inet", "passed")
	if err != nil {
		return nil, err
	}
	for _, m := range counted.FindAllStringSubmatch(string(out), -1) {
		n, err := strconv.ParseUint(m[1], 10, 64)
		if err != nil {
			return nil, err
		}
		packets = append(packets, n)
	}
	if len(packets) != t.flows {
		return nil, fmt.Errorf("%d counters for %d flows", len(packets), t.flows)
	}
	return packets, nil
}
