package theirs

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/nfnl"
)

// ErrChanged says that nf_tables has changed since it was looked at.
var ErrChanged = errors.New("nf_tables was changed meanwhile")

// Delete removes tables of nf_tables, all in one transaction, if nothing in nf_tables has
// changed since the generation that is given: iptables-nft takes no lock, and a rule that it adds
// after the tables were read must not go with them. ErrChanged: something has, and nothing is
// removed. The kernel compares (nfnetlink_rcv_batch(), net/netfilter/nfnetlink.c).
func (n *Netfilter) Delete(tables []string, generation uint32) error {
	c, err := nfnl.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	batch, err := n.deletion(tables, generation)
	if err != nil {
		return fmt.Errorf("remove tables of nf_tables: %w", err)
	}
	if err = c.Send(batch...); err == nil {
		err = acknowledged(c, len(tables))
	}
	if errors.Is(err, unix.ERESTART) {
		return ErrChanged
	}
	if err != nil {
		return fmt.Errorf("remove tables of nf_tables: %w", err)
	}
	return nil
}

// acknowledged waits for the answers to some messages.
func acknowledged(c *nfnl.Conn, n int) error {
	for n > 0 {
		answers, err := c.Receive()
		if err != nil {
			return err
		}
		n -= len(answers)
	}
	return nil
}

// deletion is the transaction.
func (n *Netfilter) deletion(tables []string, generation uint32) ([]netlink.Message, error) {
	begin, err := message(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES,
		netlink.Attribute{Type: unix.NFNL_BATCH_GENID, Data: binary.BigEndian.AppendUint32(nil, generation)})
	if err != nil {
		return nil, err
	}
	batch := []netlink.Message{begin}
	for _, name := range tables {
		m, err := message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_DELTABLE, netlink.Acknowledge, byte(n.nfFamily()), 0,
			netlink.Attribute{Type: unix.NFTA_TABLE_NAME, Data: append([]byte(name), 0)})
		if err != nil {
			return nil, err
		}
		batch = append(batch, m)
	}
	end, err := message(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)
	return append(batch, end), err
}

// message is one of nfnetlink, behind whose head stands struct nfgenmsg.
func message(kind uint16, flags netlink.HeaderFlags, family byte, resource uint16, attributes ...netlink.Attribute) (netlink.Message, error) {
	data, err := netlink.MarshalAttributes(attributes)
	head := binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | flags},
		Data:   append(head, data...),
	}, err
}
