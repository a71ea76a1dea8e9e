package match

import (
	"fmt"
	"math"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// ownerKind is -m owner, revision 1 (net/netfilter/xt_owner.c).
var ownerKind = &ruleset.MatchKind{
	Name:     "owner",
	Families: ruleset.Both,
	Doc:      "who owns the socket that sent a packet of this host",
	Options: []ruleset.Option{
		{Name: "uid-owner", NArgs: 1, Negate: true, Help: "user name or number, or a range of numbers lo-hi"},
		{Name: "gid-owner", NArgs: 1, Negate: true, Help: "group name or number, or a range of numbers lo-hi"},
		{Name: "socket-exists", Negate: true, Help: "there is a socket"},
		{Name: "suppl-groups", Help: "--gid-owner, given before, also asks the supplementary groups"},
	},
	New: func() ruleset.MatchBuilder { return &owner{} },
}

// owner is -m owner.
type owner struct {
	given
	uid, gid idRange
	noSocket bool // ! --socket-exists
}

type idRange struct {
	lo, hi uint32
	negate bool
}

// Set takes one option.
func (m *owner) Set(env *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	var user, group func(string) (uint32, bool)
	if env.Resolve != nil {
		user, group = env.Resolve.User, env.Resolve.Group
	}
	switch option {
	case "uid-owner":
		m.uid, err = parseIDs(option, args[0], user)
		m.uid.negate = negate
	case "gid-owner":
		m.gid, err = parseIDs(option, args[0], group)
		m.gid.negate = negate
	case "socket-exists":
		m.noSocket = negate
	case "suppl-groups":
		if !m.given["gid-owner"] {
			err = ruleset.InWordsOf(fmt.Errorf("--suppl-groups: give --gid-owner before it"), "Bad value for \"--suppl-groups\" option: \"you need to use --gid-owner first\"")
		}
	}
	return err
}

// parseIDs reads a name, a number or a range; a name comes first, as in
// owner_mt_parse() of libxt_owner.c. The number 2^32-1 stands for no owner.
func parseIDs(option, arg string, named func(string) (uint32, bool)) (r idRange, err error) {
	if named != nil {
		if id, ok := named(arg); ok {
			return idRange{lo: id, hi: id}, nil
		}
	}
	bad := ruleset.InWordsOf(fmt.Errorf("--%s: %q is not a known name, a number up to %d or a range lo-hi", option, arg, uint32(math.MaxUint32-1)), "Bad value for \"--%s\" option: \"%s\"", option, arg)
	lo, rest, ok := strtou(arg)
	if !ok || lo >= math.MaxUint32 {
		return r, bad
	}
	hi := lo
	if rest != "" && (rest[0] == '-' || rest[0] == ':') {
		if hi, rest, ok = strtou(rest[1:]); !ok || hi >= math.MaxUint32 {
			return r, bad
		}
	}
	if rest != "" {
		return r, bad
	}
	return idRange{lo: uint32(lo), hi: uint32(hi)}, nil
}

// Done is called after the last option.
func (m *owner) Done(*ruleset.Env) error {
	return ruleset.InWords(m.needOneOf("uid-owner", "gid-owner", "socket-exists"),
		"owner: At least one of --uid-owner, --gid-owner or --socket-exists is required")
}

// Match gives the match itself.
func (m *owner) Match() ruleset.Match { return m }

// AsksOwner says yes but for --socket-exists alone.
func (m *owner) AsksOwner() bool {
	return m.given["uid-owner"] || m.given["gid-owner"] || m.given["suppl-groups"]
}

// Word is "owner".
func (m *owner) Word() string { return "owner" }

// Args prints as owner_mt_save() of libxt_owner.c.
func (m *owner) Args() []string {
	args := []string{"-m", "owner"}
	if m.given["socket-exists"] {
		args = append(append(args, bang(m.noSocket)...), "--socket-exists")
	}
	if m.given["uid-owner"] {
		args = append(append(args, bang(m.uid.negate)...), "--uid-owner", m.uid.text())
	}
	if m.given["gid-owner"] {
		args = append(append(args, bang(m.gid.negate)...), "--gid-owner", m.gid.text())
	}
	if m.given["suppl-groups"] {
		args = append(args, "--suppl-groups")
	}
	return args
}

func (r idRange) text() string {
	if r.lo == r.hi {
		return fmt.Sprint(r.lo)
	}
	return fmt.Sprintf("%d-%d", r.lo, r.hi)
}

// Check is owner_check(), and the hooks of owner_mt_reg: only packets that leave
// this host have a socket.
func (m *owner) Check(in *ruleset.Place) error {
	for _, r := range []idRange{m.uid, m.gid} {
		if r.hi < r.lo {
			return fmt.Errorf("the range %s runs backwards; write %d-%d", r.text(), r.hi, r.lo)
		}
	}
	return onlyAt(in, packet.Output, packet.Postrouting)
}

// The bits that owner_mt() combines when there is no socket or no file.
const (
	ownerUID = 1 << iota
	ownerGID
	ownerSocket
	ownerGroups
)

// left are the parts that are asked and not negated: what a packet without an
// owner lacks.
func (m *owner) left() (bits uint8) {
	for _, p := range []struct {
		option string
		negate bool
		bit    uint8
	}{
		{"uid-owner", m.uid.negate, ownerUID}, {"gid-owner", m.gid.negate, ownerGID},
		{"socket-exists", m.noSocket, ownerSocket}, {"suppl-groups", false, ownerGroups},
	} {
		if m.given[p.option] && !p.negate {
			bits |= p.bit
		}
	}
	return bits
}

// Eval is owner_mt().
func (m *owner) Eval(f *packet.Facts) pred.Answer {
	s := f.Sock
	switch {
	case s == nil:
		return pred.Bool(m.left() == 0)
	case m.noSocket:
		return pred.No
	case !s.HasFile:
		return pred.Bool(m.left()&(ownerUID|ownerGID) == 0)
	}
	return pred.Bool((!m.given["uid-owner"] || m.uid.has(s.UID) != m.uid.negate) &&
		(!m.given["gid-owner"] || m.hasGroup(s) != m.gid.negate))
}

func (r idRange) has(id uint32) bool { return id >= r.lo && id <= r.hi }

func (m *owner) hasGroup(s *packet.Socket) bool {
	if m.gid.has(s.GID) {
		return true
	}
	if m.given["suppl-groups"] {
		for _, g := range s.Groups {
			if m.gid.has(g) {
				return true
			}
		}
	}
	return false
}

// Lower gives the same in predicates: what is asked of a packet without a socket,
// of one whose socket has no file, and of one with an owner.
func (m *owner) Lower(*ruleset.Place) pred.Pred {
	var any pred.Or
	if m.left() == 0 {
		any = append(any, pred.Eq(pred.FieldSocket, 0))
	}
	if !m.noSocket {
		if m.left()&(ownerUID|ownerGID) == 0 {
			any = append(any, pred.Eq(pred.FieldSocket, 1))
		}
		owned := pred.And{pred.Eq(pred.FieldSocket, 2)}
		if m.given["uid-owner"] {
			owned = append(owned, pred.Negated(pred.In(pred.FieldUID, m.uid.lo, m.uid.hi), m.uid.negate))
		}
		if m.given["gid-owner"] {
			var group pred.Pred = pred.In(pred.FieldGID, m.gid.lo, m.gid.hi)
			if m.given["suppl-groups"] {
				group = pred.Or{group, pred.Groups{Lo: m.gid.lo, Hi: m.gid.hi}}
			}
			owned = append(owned, pred.Negated(group, m.gid.negate))
		}
		any = append(any, owned)
	}
	if len(any) == 1 {
		return any[0]
	}
	return any
}
