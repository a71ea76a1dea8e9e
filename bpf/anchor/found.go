package anchor

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/nfnl"
	"github.com/bpftables/bpftables/bpf/steady"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Found is a chain that is in the table.
type Found struct {
	Name string
	Base bool
	// Uses is how many rules it has and how many rules jump to it, in all
	// (nft_chain.use, net/netfilter/nf_tables_api.c).
	Uses uint32
}

// Uses is what Found says of chains as they were added. Base chains are not among them: they may
// have rules of others of ours, too.
func Uses(chains []Chain) map[string]uint32 {
	out := map[string]uint32{}
	for _, c := range chains {
		if c.Base == nil {
			out[c.Name] += uint32(len(c.Rules))
		}
		for _, r := range c.Rules {
			if to := target(r); to != "" {
				out[to]++
			}
		}
	}
	return out
}

// Seen is what the table had at one moment.
type Seen struct {
	Chains  []Found
	Dormant bool // its rules are not asked; others may have said so
}

// Look looks at the table; where there is none, nothing is seen.
func (t Table) Look() (s Seen, err error) {
	c, err := nfnl.Dial()
	if err != nil {
		return s, err
	}
	defer c.Close()
	err = steady.TablesBy(c, func() (err error) {
		there := false
		s = Seen{}
		if there, s.Dormant, err = t.state(c); err == nil && there {
			s.Chains, err = t.chains(c)
		}
		return err
	})
	if err != nil {
		return s, fmt.Errorf("list the chains of nf_tables: %w", err)
	}
	return s, nil
}

// Chains lists the chains of the table; none where there is no table.
func (t Table) Chains() ([]Found, error) {
	s, err := t.Look()
	return s.Chains, err
}

func (t Table) chains(c *nfnl.Conn) (out []Found, err error) {
	err = t.list(c, unix.NFT_MSG_GETCHAIN, nil, func(ad *netlink.AttributeDecoder) error {
		var f Found
		ours := false
		for ad.Next() {
			switch ad.Type() {
			case unix.NFTA_CHAIN_TABLE:
				ours = ad.String() == Name
			case unix.NFTA_CHAIN_NAME:
				f.Name = ad.String()
			case unix.NFTA_CHAIN_USE:
				f.Uses = ad.Uint32()
			case unix.NFTA_CHAIN_HOOK:
				f.Base = true
			}
		}
		if ours {
			out = append(out, f)
		}
		return ad.Err()
	})
	return out, err
}

// Tables gives those of some tables that nf_tables has, of any owner.
func Tables(family packet.Family, names ...string) (out []string, err error) {
	c, err := nfnl.Dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for _, name := range names {
		_, err := Of(family).get(c, name)
		switch {
		case err == nil:
			out = append(out, name)
		case !errors.Is(err, unix.ENOENT) && !missing(err):
			return nil, fmt.Errorf("table %s of nf_tables: %w", name, err)
		}
	}
	return out, nil
}

// Missing says whether this kernel has no nf_tables.
func (t Table) Missing() (bool, error) {
	c, err := nfnl.Dial()
	if err != nil {
		return false, err
	}
	defer c.Close()
	_, err = t.get(c, Name)
	if missing(err) {
		return true, nil
	}
	if errors.Is(err, unix.ENOENT) {
		err = nil
	}
	return false, err
}

// get asks for a table of the family by its name.
func (t Table) get(c *nfnl.Conn, name string) ([]netlink.Message, error) {
	only, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.NFTA_TABLE_NAME, Data: append([]byte(name), 0)}})
	if err != nil {
		return nil, err
	}
	return c.Execute(netlink.Message{
		Header: netlink.Header{Type: nfTables(unix.NFT_MSG_GETTABLE), Flags: netlink.Request | netlink.Acknowledge},
		Data:   append(t.head(), only...),
	})
}

// head is struct nfgenmsg (include/uapi/linux/netfilter/nfnetlink.h) of a question about the
// family.
func (t Table) head() []byte { return []byte{byte(t.nft().Family), unix.NFNETLINK_V0, 0, 0} }

// dump asks nf_tables for a list of the family.
func (t Table) dump(what uint16, only []netlink.Attribute, each func(*netlink.AttributeDecoder) error) error {
	c, err := nfnl.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	err = steady.TablesBy(c, func() error { return t.list(c, what, only, each) })
	if missing(err) {
		return nil
	}
	return err
}

// list asks for a list over a connection; others may change it meanwhile.
func (t Table) list(c *nfnl.Conn, what uint16, only []netlink.Attribute, each func(*netlink.AttributeDecoder) error) error {
	attributes, err := netlink.MarshalAttributes(only)
	if err != nil {
		return err
	}
	messages, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: nfTables(what), Flags: netlink.Request | netlink.Dump},
		Data:   append(t.head(), attributes...),
	})
	if err != nil {
		return err
	}
	return decode(messages, each)
}

// decode gives the attributes of each message.
func decode(messages []netlink.Message, each func(*netlink.AttributeDecoder) error) error {
	for _, m := range messages {
		if len(m.Data) < nfgenSize {
			continue
		}
		ad, err := netlink.NewAttributeDecoder(m.Data[nfgenSize:])
		if err != nil {
			return err
		}
		ad.ByteOrder = binary.BigEndian
		if err := each(ad); err != nil {
			return err
		}
	}
	return nil
}

// nfgenSize is the size of struct nfgenmsg.
const nfgenSize = 4

func nfTables(what uint16) netlink.HeaderType {
	return netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | what)
}

// missing says whether the kernel has no nf_tables at all: then there is nothing to list.
func missing(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}
