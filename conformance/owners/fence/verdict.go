package fence

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// verdict is what a rule does.
type verdict string

var verdicts = map[verdict]pred.Action{
	"accept": {Op: pred.Accept}, "drop": {Op: pred.Drop}, "continue": {Op: pred.Continue},
	"mark": pred.Doing(pred.SetMark{Dst: pred.FieldMark, Src: pred.FieldMark, Xor: 7}),
}

func (v verdict) Word() string               { return string(v) }
func (v verdict) Args() []string             { return []string{string(v)} }
func (v verdict) Check(*ruleset.Place) error { return nil }

func (v verdict) known() bool {
	_, is := verdicts[v]
	return is || v == "reject"
}

// Lower rejects with "port unreachable" (RFC 792, RFC 4443).
func (v verdict) Lower(at *ruleset.Place) pred.Action {
	if v != "reject" {
		return verdicts[v]
	}
	if at.Family == packet.IPv6 {
		return pred.Doing(pred.Reject{Code: 4})
	}
	return pred.Doing(pred.Reject{Code: 3})
}
