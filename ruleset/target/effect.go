package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Of gives the target that has an effect: one whose Lower gives the effect again. Nil:
// no target of the family does that, as with effects that other languages can say.
func Of(family packet.Family, e pred.Effect) ruleset.Target {
	for _, of := range targets {
		if t := of(family, e); t != nil {
			return t
		}
	}
	return nil
}

// targets give the target of an effect, each for one type of effects.
var targets = []func(packet.Family, pred.Effect) ruleset.Target{
	// What becomes of the packet.
	ofFamily(rejectOf), of(nfqueueOf), of(tproxyOf), of(synproxyOf), of(teeOf), of(natOf), of(nptOf),
	of(func(e pred.Opaque) *opaque { return &opaque{e} }),
	// Marks, sets, connections.
	of(markOf), of(connmarkOf), of(classifyOf),
	of(func(e pred.SecMark) *Secmark { return &Secmark{Context: e.Context} }),
	of(func(pred.SaveSecMark) *Connsecmark { return &Connsecmark{Op: "save"} }),
	of(func(pred.RestoreSecMark) *Connsecmark { return &Connsecmark{Op: "restore"} }),
	of(func(pred.NoTrack) *CT { return &CT{NoTrack: true} }), of(ctOf), of(setOf),
	// Somebody is told.
	of(logOf), of(nflogOf), of(auditOf), of(func(pred.Trace) *Trace { return &Trace{} }),
	of(ledOf), of(idletimerOf), of(rateestOf),
	// Headers.
	of(func(e pred.SetDSCP) *DSCP { return &DSCP{Value: e.Value} }),
	of(func(e pred.SetTOS) *TOS { return &TOS{Value: e.Value, Mask: e.Mask} }),
	ofFamily(hopLimitOf), of(ecnOf),
	of(func(e pred.SetMSS) *TCPMSS { return &TCPMSS{MSS: e.MSS, Clamp: e.ToPathMTU} }),
	of(tcpoptstripOf), of(func(pred.FillChecksum) *Checksum { return &Checksum{} }),
}

// of makes a function of one type of effects one of all: nil for others, and where it gives
// none.
func of[E pred.Effect, T made](target func(E) T) func(packet.Family, pred.Effect) ruleset.Target {
	return ofFamily(func(_ packet.Family, e E) T { return target(e) })
}

// made is a target, or nothing.
type made interface {
	comparable
	ruleset.Target
}

func ofFamily[E pred.Effect, T made](target func(packet.Family, E) T) func(packet.Family, pred.Effect) ruleset.Target {
	return func(family packet.Family, e pred.Effect) ruleset.Target {
		one, is := e.(E)
		if !is {
			return nil
		}
		var none T
		if t := target(family, one); t != none {
			return t
		}
		return nil
	}
}

// opaque is a target that is nothing but its words.
type opaque struct{ effect pred.Opaque }

func (o *opaque) Word() string                     { return o.effect.Words()[0] }
func (o *opaque) Args() []string                   { return o.effect.Words() }
func (o *opaque) Check(*ruleset.Place) error       { return nil }
func (o *opaque) Lower(*ruleset.Place) pred.Action { return pred.Doing(o.effect) }
