package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Of gives the target that has an effect: one whose Lower gives the effect again. Nil:
// no target of the family does that, as with effects that other languages can say.
func Of(family packet.Family, e pred.Effect) ruleset.Target {
	for _, of := range []func(packet.Family, pred.Effect) ruleset.Target{ofPacket, ofConnection, ofReport, ofHeader} {
		if t := of(family, e); t != nil {
			return t
		}
	}
	return nil
}

// ofPacket has the targets for what becomes of the packet.
func ofPacket(family packet.Family, e pred.Effect) ruleset.Target {
	switch e := e.(type) {
	case pred.Reject:
		if r := rejectOf(family, e); r != nil {
			return r
		}
	case pred.Queue:
		return nfqueueOf(e)
	case pred.TProxy:
		return tproxyOf(e)
	case pred.SynProxy:
		return synproxyOf(e)
	case pred.Dup:
		return teeOf(e)
	case pred.NAT:
		return natOf(e)
	case pred.NPT:
		return nptOf(e)
	case pred.Opaque:
		return opaque{e}
	}
	return nil
}

// ofConnection has the targets that change marks, sets and connections.
func ofConnection(_ packet.Family, e pred.Effect) ruleset.Target {
	switch e := e.(type) {
	case pred.SetMark:
		if m := markOf(e); m != nil {
			return m
		}
		if c := connmarkOf(e); c != nil {
			return c
		}
	case pred.SetPriority:
		return classifyOf(e)
	case pred.SecMark:
		return &Secmark{Context: e.Context}
	case pred.SaveSecMark:
		return &Connsecmark{Op: "save"}
	case pred.RestoreSecMark:
		return &Connsecmark{Op: "restore"}
	case pred.NoTrack:
		return &CT{NoTrack: true}
	case pred.Track:
		return ctOf(e)
	case pred.ChangeKernelSet:
		return setOf(e)
	}
	return nil
}

// ofReport has the targets that tell somebody.
func ofReport(_ packet.Family, e pred.Effect) ruleset.Target {
	switch e := e.(type) {
	case pred.Log:
		return logOf(e)
	case pred.NFLog:
		return nflogOf(e)
	case pred.Audit:
		return auditOf(e)
	case pred.Trace:
		return &Trace{}
	case pred.BlinkLED:
		return ledOf(e)
	case pred.IdleTimer:
		return idletimerOf(e)
	case pred.RateEst:
		return rateestOf(e)
	}
	return nil
}

// ofHeader has the targets that rewrite headers.
func ofHeader(family packet.Family, e pred.Effect) ruleset.Target {
	switch e := e.(type) {
	case pred.SetDSCP:
		return &DSCP{Value: e.Value}
	case pred.SetTOS:
		return &TOS{Value: e.Value, Mask: e.Mask}
	case pred.SetTTL:
		return hopLimitOf(family, e)
	case pred.SetECN:
		return ecnOf(e)
	case pred.SetMSS:
		return &TCPMSS{MSS: e.MSS, Clamp: e.ToPathMTU}
	case pred.StripTCPOptions:
		return tcpoptstripOf(e)
	case pred.FillChecksum:
		return &Checksum{}
	}
	return nil
}

// opaque is a target that is nothing but its words.
type opaque struct{ effect pred.Opaque }

func (o opaque) Word() string                     { return o.effect.Words()[0] }
func (o opaque) Args() []string                   { return o.effect.Words() }
func (o opaque) Check(*ruleset.Place) error       { return nil }
func (o opaque) Lower(*ruleset.Place) pred.Action { return pred.Doing(o.effect) }
