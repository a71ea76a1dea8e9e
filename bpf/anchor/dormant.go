package anchor

import (
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/nfnl"
)

// dormant is NFT_TABLE_F_DORMANT (include/uapi/linux/netfilter/nf_tables.h).
const dormant = 1

// state asks whether the table is there, and whether someone has put it to sleep: its chains are
// there then, but no packet meets them.
func (t Table) state(c *nfnl.Conn) (there, sleeps bool, err error) {
	answers, err := t.get(c, Name)
	if errors.Is(err, unix.ENOENT) || missing(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	err = decode(answers, func(ad *netlink.AttributeDecoder) error {
		for ad.Next() {
			if ad.Type() == unix.NFTA_TABLE_FLAGS {
				sleeps = ad.Uint32()&dormant != 0
			}
		}
		return ad.Err()
	})
	return true, sleeps, err
}

// wake has packets meet the chains again. The kernel refuses new base chains in the same
// transaction (nf_tables_newchain(), net/netfilter/nf_tables_api.c).
func (t Table) wake() error {
	c, err := nfnl.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	_, sleeps, err := t.state(c)
	if err != nil {
		return fmt.Errorf("table %s of nf_tables: %w", Name, err)
	}
	if !sleeps {
		return nil
	}
	return t.change((*batch).addTable)
}
