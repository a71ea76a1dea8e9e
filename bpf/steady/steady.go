// Package steady reads lists of the kernel that others may change meanwhile.
//
// In: what reads a list, which may ask the kernel several times. Out: a list that the kernel
// had at one moment. A list that comes in several messages lacks entries, or has some twice, if
// others add or remove any in between; the kernel marks some of these lists with
// NLM_F_DUMP_INTR, which few readers look at. Refused: lists that never rest.
//
//	links, err := steady.Links()
//	err = steady.Tables(func() error { chains, err = c.ListChains(); return err })
package steady

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	route "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/nfnl"
)

// ErrRestless says that a list was changed each time that it was read.
var ErrRestless = errors.New("others change it all the time; try again")

// tries is how often a list is read before it counts as restless.
const tries = 50

// Links lists the interfaces of the network namespace.
func Links() (links []route.Link, err error) {
	err = Routing(func() error { links, err = route.LinkList(); return err })
	return links, err
}

// Routing reads a list of interfaces, addresses or routes, whose reader says by its error
// that it was changed meanwhile.
func Routing(read func() error) error {
	for range tries {
		if err := read(); !errors.Is(err, route.ErrDumpInterrupted) {
			return err
		}
	}
	return ErrRestless
}

// Tables reads lists of nf_tables, again if a transaction came in between: each gives
// nf_tables a new generation (nf_tables_commit(), net/netfilter/nf_tables_api.c). What is read
// in one call is of one generation.
func Tables(read func() error) error {
	c, err := nfnl.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	return TablesBy(c, read)
}

// TablesBy is Tables for a caller that has a connection to nf_tables.
func TablesBy(c *nfnl.Conn, read func() error) error {
	return unchanged(func() (uint32, error) { return generation(c) }, read)
}

// Generation is the number that the next transaction of nf_tables in this namespace changes.
func Generation() (uint32, error) {
	c, err := nfnl.Dial()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return generation(c)
}

// unchanged reads until a number is the same before and after it. Without such a number there
// is nothing to read: the reader says why.
func unchanged(number func() (uint32, error), read func() error) error {
	for range tries {
		before, noNumber := number()
		err := read()
		if noNumber != nil {
			return err
		}
		after, noNumber := number()
		if noNumber != nil {
			return fmt.Errorf("generation of nf_tables: %w", noNumber)
		}
		if before == after {
			return err
		}
	}
	return ErrRestless
}

// nfgen is struct nfgenmsg of a request (include/uapi/linux/netfilter/nfnetlink.h).
var nfgen = []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}

// generation is the number of the generation of nf_tables.
func generation(c *nfnl.Conn) (uint32, error) {
	answers, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
		Data:   nfgen,
	})
	if err != nil {
		return 0, err
	}
	for _, m := range answers {
		if len(m.Data) < len(nfgen) {
			continue
		}
		attributes, err := netlink.UnmarshalAttributes(m.Data[len(nfgen):])
		if err != nil {
			return 0, err
		}
		for _, a := range attributes {
			if a.Type == unix.NFTA_GEN_ID && len(a.Data) == 4 {
				return binary.BigEndian.Uint32(a.Data), nil
			}
		}
	}
	return 0, errors.New("the kernel does not tell it")
}
