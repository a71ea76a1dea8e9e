package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Of ctnetlink: a list of all connections, and what of an entry is read (enum ctattr_type and its
// like, include/uapi/linux/netfilter/nfnetlink_conntrack.h).
const (
	listConnections = 1 // IPCTNL_MSG_CT_GET

	attrTuple    = 1 // CTA_TUPLE_ORIG
	attrHelp     = 5 // CTA_HELP
	attrHelpName = 1 // CTA_HELP_NAME

	attrTupleIP    = 1 // CTA_TUPLE_IP
	attrTupleProto = 2 // CTA_TUPLE_PROTO
)

// helpers lists the connections of the namespace of the calling thread that have a helper, which the file
// of connections does not tell.
func helpers() ([]string, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	messages, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_CTNETLINK<<8 | listConnections, Flags: netlink.Request | netlink.Dump},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range messages {
		name, of := "", ""
		err := attributes(m.Data[4:], func(ad *netlink.AttributeDecoder) {
			switch ad.Type() {
			case attrTuple:
				ad.Do(func(b []byte) (err error) {
					of, err = tuple(b)
					return err
				})
			case attrHelp:
				ad.Do(func(b []byte) error {
					return attributes(b, func(ad *netlink.AttributeDecoder) {
						if ad.Type() == attrHelpName {
							name = ad.String()
						}
					})
				})
			}
		})
		if err != nil {
			return nil, err
		}
		if name != "" {
			out = append(out, fmt.Sprintf("helper %s%s", name, of))
		}
	}
	return out, nil
}

// words name what a tuple has, by what is nested in its attributes for addresses and for the protocol
// (enum ctattr_ip, enum ctattr_l4proto).
var words = map[uint16]map[uint16]string{
	attrTupleIP:    {1: "src", 2: "dst", 3: "src", 4: "dst"},
	attrTupleProto: {1: "proto", 2: "sport", 3: "dport"},
}

// tuple is one direction of a connection as the file of connections would tell it.
func tuple(data []byte) (text string, err error) {
	err = attributes(data, func(ad *netlink.AttributeDecoder) {
		part := words[ad.Type()]
		if part == nil {
			return // a zone
		}
		ad.Do(func(b []byte) error {
			return attributes(b, func(ad *netlink.AttributeDecoder) {
				word := part[ad.Type()]
				switch b := ad.Bytes(); word {
				case "src", "dst":
					addr, _ := netip.AddrFromSlice(b)
					text += " " + word + "=" + addr.String()
				case "proto":
					text += fmt.Sprintf(" %s=%d", word, b[0])
				case "sport", "dport":
					text += fmt.Sprintf(" %s=%d", word, binary.BigEndian.Uint16(b))
				}
			})
		})
	})
	return text, err
}

func attributes(data []byte, each func(*netlink.AttributeDecoder)) error {
	ad, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return err
	}
	for ad.Next() {
		each(ad)
	}
	return ad.Err()
}
