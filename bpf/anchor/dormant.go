package anchor

import (
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// dormant is NFT_TABLE_F_DORMANT (include/uapi/linux/netfilter/nf_tables.h).
const dormant = 1

// Dormant says whether someone has put the table to sleep: its chains are there, but no packet
// meets them.
func (t Table) Dormant() (bool, error) {
	sleeps := false
	err := t.dump(unix.NFT_MSG_GETTABLE, nil, func(ad *netlink.AttributeDecoder) error {
		ours, flags := false, uint32(0)
		for ad.Next() {
			switch ad.Type() {
			case unix.NFTA_TABLE_NAME:
				ours = ad.String() == Name
			case unix.NFTA_TABLE_FLAGS:
				flags = ad.Uint32()
			}
		}
		sleeps = sleeps || ours && flags&dormant != 0
		return ad.Err()
	})
	if err != nil {
		return false, fmt.Errorf("list the tables of nf_tables: %w", err)
	}
	return sleeps, nil
}

// wake has packets meet the chains again. The kernel refuses new base chains in the same
// transaction (nf_tables_newchain(), net/netfilter/nf_tables_api.c).
func (t Table) wake() error {
	sleeps, err := t.Dormant()
	if err != nil || !sleeps {
		return err
	}
	return t.change((*batch).addTable)
}
