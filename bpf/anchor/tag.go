package anchor

import (
	"bytes"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// tagged is a rule of a base chain that is in the table.
type tagged struct {
	chain  string
	handle uint64
	tag    string
}

// commentType is NFTNL_UDATA_RULE_COMMENT (include/libnftnl/udata.h of libnftnl): what nft
// shows behind a rule.
const commentType = 0

// comment is a tag as nft stores a comment: type, length, and text with a zero at its end.
func comment(tag string) []byte {
	return append(append([]byte{commentType, byte(len(tag) + 1)}, tag...), 0)
}

// tagOf is the tag of a comment; "" for anything else.
func tagOf(data []byte) string {
	if len(data) < 3 || data[0] != commentType || int(data[1]) != len(data)-2 {
		return ""
	}
	return string(bytes.TrimRight(data[2:], "\x00"))
}

// rules lists those of a chain.
func (t Table) rules(chain string) (out []tagged, err error) {
	only := []netlink.Attribute{text(unix.NFTA_RULE_TABLE, Name), text(unix.NFTA_RULE_CHAIN, chain)}
	err = t.dump(unix.NFT_MSG_GETRULE, only, func(ad *netlink.AttributeDecoder) error {
		r, ours, here := tagged{chain: chain}, false, false
		for ad.Next() {
			switch ad.Type() {
			case unix.NFTA_RULE_TABLE:
				ours = ad.String() == Name
			case unix.NFTA_RULE_CHAIN:
				here = ad.String() == chain
			case unix.NFTA_RULE_HANDLE:
				r.handle = ad.Uint64()
			case unix.NFTA_RULE_USERDATA:
				r.tag = tagOf(ad.Bytes())
			}
		}
		if ours && here {
			out = append(out, r)
		}
		return ad.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list the rules of chain %s of nf_tables: %w", chain, err)
	}
	return out, nil
}
