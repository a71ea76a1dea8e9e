package anchor

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/nfnl"
)

// batch is a change of the table as one transaction of nf_tables: all of it happens, or
// nothing (nfnetlink_rcv_batch(), net/netfilter/nfnetlink.c).
type batch struct {
	table    Table
	messages []netlink.Message
	sets     uint32 // how many sets it adds
	err      error  // what could not be said
}

// batchRoom is what the kernel takes of a transaction at once, at least.
const batchRoom = 1 << 20

// add adds a message about the table.
func (b *batch) add(what uint16, flags netlink.HeaderFlags, attributes ...netlink.Attribute) {
	b.messages = append(b.messages, netlink.Message{
		Header: netlink.Header{Type: nfTables(what), Flags: netlink.Request | flags},
		Data:   append(b.table.head(), b.encode(attributes)...),
	})
}

// encode gives attributes as the kernel reads them.
func (b *batch) encode(attributes []netlink.Attribute) []byte {
	data, err := netlink.MarshalAttributes(attributes)
	b.fail(err)
	return data
}

// nested is an attribute of attributes.
func (b *batch) nested(of uint16, attributes ...netlink.Attribute) netlink.Attribute {
	return netlink.Attribute{Type: unix.NLA_F_NESTED | of, Data: b.encode(attributes)}
}

func text(of uint16, s string) netlink.Attribute {
	return netlink.Attribute{Type: of, Data: append([]byte(s), 0)}
}

func number(of uint16, n uint32) netlink.Attribute {
	return netlink.Attribute{Type: of, Data: binary.BigEndian.AppendUint32(nil, n)}
}

// addTable makes the table, or wakes it.
func (b *batch) addTable() {
	b.add(unix.NFT_MSG_NEWTABLE, netlink.Create, text(unix.NFTA_TABLE_NAME, Name), number(unix.NFTA_TABLE_FLAGS, 0))
}

func (b *batch) deleteTable() { b.add(unix.NFT_MSG_DELTABLE, 0, text(unix.NFTA_TABLE_NAME, Name)) }

func (b *batch) addChain(c *Chain) {
	all := []netlink.Attribute{text(unix.NFTA_CHAIN_TABLE, Name), text(unix.NFTA_CHAIN_NAME, c.Name)}
	if c.Base != nil {
		policy := uint32(expr.VerdictAccept)
		if c.Base.Drop {
			policy = uint32(expr.VerdictDrop)
		}
		all = append(all,
			b.nested(unix.NFTA_CHAIN_HOOK, number(unix.NFTA_HOOK_HOOKNUM, uint32(c.Base.Hook)), number(unix.NFTA_HOOK_PRIORITY, uint32(c.Base.Priority))),
			number(unix.NFTA_CHAIN_POLICY, policy), text(unix.NFTA_CHAIN_TYPE, string(c.Base.Type)))
	}
	b.add(unix.NFT_MSG_NEWCHAIN, netlink.Create, all...)
}

// addRules adds chains that are not there, then rules to all of them.
func (b *batch) addRules(chains []Chain) {
	for i := range chains {
		b.addChain(&chains[i])
	}
	for i := range chains {
		for _, r := range chains[i].Rules {
			b.addRule(&chains[i], r)
		}
	}
}

// flushChain removes the rules of a chain.
func (b *batch) flushChain(name string) {
	b.add(unix.NFT_MSG_DELRULE, 0, text(unix.NFTA_RULE_TABLE, Name), text(unix.NFTA_RULE_CHAIN, name))
}

func (b *batch) deleteChain(name string) {
	b.add(unix.NFT_MSG_DELCHAIN, 0, text(unix.NFTA_CHAIN_TABLE, Name), text(unix.NFTA_CHAIN_NAME, name))
}

// clear removes chains and objects; of chains that stay only the rules.
func (b *batch) clear(chains []string, objects []object, stay map[string]bool) {
	for _, name := range chains { // rules first: a chain that another one jumps to stays
		b.flushChain(name)
	}
	for _, name := range chains {
		if !stay[name] {
			b.deleteChain(name)
		}
	}
	for _, o := range objects {
		b.deleteObject(o)
	}
}

// deleteRule removes one rule.
func (b *batch) deleteRule(r tagged) {
	b.add(unix.NFT_MSG_DELRULE, 0, text(unix.NFTA_RULE_TABLE, Name), text(unix.NFTA_RULE_CHAIN, r.chain),
		netlink.Attribute{Type: unix.NFTA_RULE_HANDLE, Data: binary.BigEndian.AppendUint64(nil, r.handle)})
}

// addRule adds a rule behind the others of a chain, after what it needs.
func (b *batch) addRule(c *Chain, r Rule) {
	all := make([]netlink.Attribute, len(r))
	about := []netlink.Attribute{text(unix.NFTA_RULE_TABLE, Name), text(unix.NFTA_RULE_CHAIN, c.Name)}
	for i, e := range r {
		if t, is := e.(*expr.Target); is && t.Name == targetMSS {
			about = append(about, b.forProtocol(unix.IPPROTO_TCP))
		}
		if p, is := e.(prepared); is {
			b.fail(p.prepare(b))
		}
		if b.err != nil {
			return // there may be nothing to spell
		}
		all[i] = netlink.Attribute{Type: unix.NLA_F_NESTED | unix.NFTA_LIST_ELEM, Data: b.spell(e)}
	}
	if c.Tag != "" {
		about = append(about, netlink.Attribute{Type: unix.NFTA_RULE_USERDATA, Data: comment(c.Tag)})
	}
	b.add(unix.NFT_MSG_NEWRULE, netlink.Create|netlink.Append, append(about, b.nested(unix.NFTA_RULE_EXPRESSIONS, all...))...)
}

// targetMSS is the target of xtables that is for one protocol alone.
const targetMSS = "TCPMSS"

// forProtocol says that a rule meets packets of one protocol, as "-p" does: xt_check_target()
// (net/netfilter/x_tables.c) refuses a target for that protocol without it.
func (b *batch) forProtocol(protocol uint32) netlink.Attribute {
	return b.nested(unix.NFTA_RULE_COMPAT, number(unix.NFTA_RULE_COMPAT_PROTO, protocol), number(unix.NFTA_RULE_COMPAT_FLAGS, 0))
}

// addObject adds an object with what is particular to its kind.
func (b *batch) addObject(o object, of ...netlink.Attribute) {
	b.add(unix.NFT_MSG_NEWOBJ, netlink.Create,
		text(unix.NFTA_OBJ_TABLE, Name), text(unix.NFTA_OBJ_NAME, o.name), number(unix.NFTA_OBJ_TYPE, o.kind), b.nested(unix.NFTA_OBJ_DATA, of...))
}

func (b *batch) deleteObject(o object) {
	b.add(unix.NFT_MSG_DELOBJ, 0, text(unix.NFTA_OBJ_TABLE, Name), text(unix.NFTA_OBJ_NAME, o.name), number(unix.NFTA_OBJ_TYPE, o.kind))
}

func (b *batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// spelled is an expression of which the library says less than the kernel takes.
type spelled interface {
	spell(b *batch) []netlink.Attribute
}

// spell gives an expression as the kernel reads it.
func (b *batch) spell(e expr.Any) []byte {
	if s, is := e.(spelled); is {
		return b.encode(s.spell(b))
	}
	data, err := expr.Marshal(byte(b.table.nft().Family), e)
	b.fail(err)
	return data
}

// mapName has the kernel give a set without a name a number.
const mapName = "__map%d"

// addMap adds a set without a name that gives a byte for each byte, and gives its number.
func (b *batch) addMap(to [256]byte) (id uint32) {
	b.sets++
	const numbers = 4 // the type of integers, of nft alone
	b.add(unix.NFT_MSG_NEWSET, netlink.Create,
		text(unix.NFTA_SET_TABLE, Name), text(unix.NFTA_SET_NAME, mapName),
		number(unix.NFTA_SET_FLAGS, unix.NFT_SET_ANONYMOUS|unix.NFT_SET_CONSTANT|unix.NFT_SET_MAP),
		number(unix.NFTA_SET_KEY_TYPE, numbers), number(unix.NFTA_SET_KEY_LEN, 1),
		number(unix.NFTA_SET_DATA_TYPE, numbers), number(unix.NFTA_SET_DATA_LEN, 1),
		number(unix.NFTA_SET_ID, b.sets), b.nested(unix.NFTA_SET_DESC, number(unix.NFTA_SET_DESC_SIZE, uint32(len(to)))))
	elements := make([]netlink.Attribute, len(to))
	for i, v := range to {
		elements[i] = b.nested(unix.NFTA_LIST_ELEM,
			b.nested(unix.NFTA_SET_ELEM_KEY, netlink.Attribute{Type: unix.NFTA_DATA_VALUE, Data: []byte{byte(i)}}),
			b.nested(unix.NFTA_SET_ELEM_DATA, netlink.Attribute{Type: unix.NFTA_DATA_VALUE, Data: []byte{v}}))
	}
	b.add(unix.NFT_MSG_NEWSETELEM, netlink.Create,
		text(unix.NFTA_SET_ELEM_LIST_TABLE, Name), text(unix.NFTA_SET_ELEM_LIST_SET, mapName),
		number(unix.NFTA_SET_ELEM_LIST_SET_ID, b.sets), b.nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, elements...))
	return b.sets
}

// change runs a transaction. Nothing is sent of one that fails to say what it wants.
func (t Table) change(say func(*batch)) error {
	b := &batch{table: t}
	if say(b); b.err != nil {
		return b.err
	}
	err := b.send()
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		err = fmt.Errorf("%w (%w)", ErrMissing, err)
	}
	if err != nil {
		return fmt.Errorf("table %s of nf_tables: %w", Name, err)
	}
	return nil
}

// send sends the transaction and waits for the kernel's answer: the first message that it
// refuses, or that it has come to the last one.
func (b *batch) send() error {
	c, err := nfnl.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	b.messages[len(b.messages)-1].Header.Flags |= netlink.Acknowledge
	all := []netlink.Message{mark(unix.NFNL_MSG_BATCH_BEGIN)}
	all = append(append(all, b.messages...), mark(unix.NFNL_MSG_BATCH_END))
	size := batchRoom
	for _, m := range all {
		size += unix.NLMSG_HDRLEN + len(m.Data)
	}
	// A transaction is one message to the kernel, and what it refuses comes back.
	if err := c.Grow(size); err != nil {
		return err
	}
	if err := c.Send(all...); err != nil {
		return err
	}
	_, err = c.Receive()
	return err
}

// mark is the begin or the end of a transaction.
func mark(which netlink.HeaderType) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: which, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES},
	}
}
