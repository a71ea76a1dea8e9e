package shim

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/ruleset/target"
)

// spot is where an effect is run: in a chain, on packets of a hook.
type spot struct {
	family packet.Family
	chain  string
	hook   packet.Hook
}

// runs gives the rules of nf_tables that run an effect.
func (at spot) runs(e pred.Effect) ([]run, error) {
	if c, is := pred.ChangesHeader(at.family, e); is && pred.Demands(e) == pred.DemandsNothing {
		return changeHeader(at.family, c), nil
	}
	if e, is := e.(pred.TProxy); is {
		return proxy(at.family, e), nil
	}
	one, err := at.expressions(e)
	return []run{{then: one}}, err
}

// expressions gives the expressions of nf_tables that run an effect. What iptables and
// nf_tables both have calls the same functions of the kernel; the rest is the target of
// xtables itself, if that may stand in a table of any name.
func (at spot) expressions(e pred.Effect) (anchor.Rule, error) {
	switch e := e.(type) {
	case pred.Log:
		return anchor.Log(e.Level, uint8(e.Flags), e.Prefix), nil
	case pred.Reject:
		if e.Reset {
			return anchor.RejectTCP(), nil
		}
		return anchor.RejectICMP(e.Code), nil
	case pred.NFLog:
		return nflog(e), nil
	case pred.Queue:
		return queue(e), nil
	case pred.SetMark:
		return mark(at.family, e)
	case pred.SetPriority:
		return anchor.SetPriority(e.Class), nil
	case pred.Trace:
		return anchor.Trace(), nil
	case pred.NoTrack:
		return anchor.NoTrack(), nil
	case pred.Audit:
		return anchor.Target("AUDIT", 0, []byte{byte(e.Type)}), nil
	case pred.Dup:
		return dup(e), nil
	case pred.RateEst:
		return rateEst(at.family, e)
	case pred.BlinkLED:
		return blink(e), nil
	case pred.SecMark:
		return anchor.SecMark(at.chain, e.Context), nil
	case pred.SaveSecMark:
		return anchor.SaveSecMark(), nil
	case pred.RestoreSecMark:
		return anchor.RestoreSecMark(), nil
	case pred.NAT:
		return translation(at.family, at.hook, e), nil
	case pred.SetMSS:
		return mss(e), nil
	case pred.IdleTimer:
		return idleTimer(e), nil
	case pred.ChangeKernelSet:
		return changeSets(at.family, e)
	case pred.Track:
		if sayable(e) { // where it ends behind conntrack, this is its beginning
			return zone(e), nil
		}
	}
	return nil, fmt.Errorf("a table of ours in nf_tables cannot run the effect %s", e)
}

// zone gives the connection its zone. That of the mark is read here, not when conntrack comes, so no rule
// behind may change the mark (pred.HiddenZone).
func zone(e pred.Track) anchor.Rule {
	of := map[pred.ZoneDir]anchor.Direction{pred.ZoneBoth: anchor.Both, pred.ZoneOriginal: anchor.Original, pred.ZoneReply: anchor.Reply}[e.ZoneOf]
	if e.ZoneFromMark {
		return anchor.ZoneOfMark(of)
	}
	return anchor.Zone(e.Zone, of)
}

func nflog(e pred.NFLog) anchor.Rule {
	l := &expr.Log{Group: e.Group, QThreshold: e.Threshold, Key: 1<<unix.NFTA_LOG_GROUP | 1<<unix.NFTA_LOG_QTHRESHOLD}
	if e.Cut {
		l.Key |= 1 << unix.NFTA_LOG_SNAPLEN
		l.Snaplen = e.SnapLen
	}
	if e.Prefix != "" {
		l.Key |= 1 << unix.NFTA_LOG_PREFIX
		l.Data = []byte(e.Prefix)
	}
	return anchor.Rule{l}
}

// queue is struct xt_NFQ_info_v3 (include/uapi/linux/netfilter/xt_NFQUEUE.h): not all
// kernels with nf_tables have its own expression.
func queue(e pred.Queue) anchor.Rule {
	flags := uint16(0)
	if e.Bypass {
		flags |= 1 // NFQ_FLAG_BYPASS
	}
	if e.CPUFanout {
		flags |= 2 // NFQ_FLAG_CPU_FANOUT
	}
	info := binary.NativeEndian.AppendUint16(nil, e.From)
	info = binary.NativeEndian.AppendUint16(info, e.To-e.From+1)
	return anchor.Target("NFQUEUE", 3, binary.NativeEndian.AppendUint16(info, flags))
}

// mark changes the mark of the packet, or is struct xt_connmark_tginfo2
// (include/uapi/linux/netfilter/xt_connmark.h), or its revision 1 without a shift, which
// older kernels have, too.
func mark(family packet.Family, e pred.SetMark) (anchor.Rule, error) {
	switch t := target.Of(family, e).(type) {
	case *target.Mark:
		return anchor.SetMark(^t.Mask, t.Value), nil
	case *target.Connmark:
		info := make([]byte, 0, 16)
		for _, n := range []uint32{t.Value, t.CtMask, t.NfMask} {
			info = binary.NativeEndian.AppendUint32(info, n)
		}
		if t.Shift == 0 {
			return anchor.Target("CONNMARK", 1, append(info, byte(t.Mode), 0, 0, 0)), nil
		}
		right := byte(0)
		if t.ShiftRight {
			right = 1 // D_SHIFT_RIGHT
		}
		return anchor.Target("CONNMARK", 2, append(info, right, t.Shift, byte(t.Mode), 0)), nil
	}
	return nil, fmt.Errorf("a table of ours in nf_tables cannot run the effect %s", e)
}

// mss is struct xt_tcpmss_info (include/uapi/linux/netfilter/xt_TCPMSS.h). The target names no
// table; that packets are SYNs of TCP, which it asks of a rule of iptables, the rules have asked.
func mss(e pred.SetMSS) anchor.Rule {
	size := e.MSS
	if e.ToPathMTU {
		size = 0xffff // XT_TCPMSS_CLAMP_PMTU
	}
	return anchor.Target("TCPMSS", 0, append(binary.NativeEndian.AppendUint16(nil, size), make([]byte, 6)...))
}

// proxy hands the packet to a socket, and drops it where there is none (tproxy_tg4(),
// net/netfilter/xt_TPROXY.c).
func proxy(family packet.Family, e pred.TProxy) []run {
	found := append(anchor.Proxy(family, e.Addr, e.Port), anchor.SetMark(^e.Mask, e.Value)...)
	return []run{{first: found, then: anchor.Rule{anchor.Accept()}}, {then: anchor.Rule{anchor.Drop()}}}
}

// idleTimer is struct idletimer_tg_info_v1 (include/uapi/linux/netfilter/xt_IDLETIMER.h): seconds,
// label, whether it tells by netlink (it does not), the kind of timer, a pointer of the kernel's own.
func idleTimer(e pred.IdleTimer) anchor.Rule {
	info := make([]byte, 48)
	binary.NativeEndian.PutUint32(info, e.Timeout)
	copy(info[4:4+27], e.Label)
	if e.Alarm {
		info[33] = 1 // XT_IDLETIMER_ALARM
	}
	return anchor.Target("IDLETIMER", 1, info)
}

func changeSets(family packet.Family, e pred.ChangeKernelSet) (anchor.Rule, error) {
	if e.Map.Set != "" {
		return nil, fmt.Errorf("a table of ours in nf_tables cannot run the effect %s", e)
	}
	timeout := uint32(anchor.NoTimeout)
	if e.HasTimeout {
		timeout = e.Timeout
	}
	return anchor.ChangeSets(family, kernelSet(e.Add), kernelSet(e.Del), e.Exist, timeout), nil
}

func kernelSet(k pred.KernelSetKey) anchor.KernelSet {
	out := anchor.KernelSet{Name: k.Set}
	if k.Set == "" {
		return out
	}
	for d := range strings.SplitSeq(k.Dirs, ",") {
		out.Sources = append(out.Sources, d == "src")
	}
	return out
}

// dup is struct xt_tee_tginfo (include/uapi/linux/netfilter/xt_TEE.h): gateway, interface,
// a pointer of the kernel's own.
func dup(e pred.Dup) anchor.Rule {
	info := make([]byte, 16+unix.IFNAMSIZ+8)
	copy(info, e.Gateway.AsSlice())
	copy(info[16:16+unix.IFNAMSIZ-1], e.Oif)
	return anchor.Target("TEE", 1, info)
}

// rateEst is struct xt_rateest_target_info (include/uapi/linux/netfilter/xt_RATEEST.h): name, interval, the
// logarithm of the weight, a pointer of the kernel's own.
func rateEst(family packet.Family, e pred.RateEst) (anchor.Rule, error) {
	t := target.Of(family, e).(*target.RateEst)
	if err := t.Settle(); err != nil {
		return nil, err
	}
	info := make([]byte, 32)
	copy(info[:unix.IFNAMSIZ-1], e.Name)
	info[unix.IFNAMSIZ], info[unix.IFNAMSIZ+1] = byte(t.Interval), t.EWMALog
	return anchor.Target("RATEEST", 0, info), nil
}

// ledPrefix is what iptables puts before the name of a light (LED_parse(), extensions/libxt_LED.c).
const ledPrefix = "netfilter-"

// blink is struct xt_led_info (include/uapi/linux/netfilter/xt_LED.h): name, whether it blinks when it is
// on, milliseconds, a pointer of the kernel's own.
func blink(e pred.BlinkLED) anchor.Rule {
	info := make([]byte, 40)
	copy(info[:26], ledPrefix+e.ID)
	if e.Always {
		info[27] = 1
	}
	binary.NativeEndian.PutUint32(info[28:], e.Delay)
	return anchor.Target("LED", 0, info)
}
