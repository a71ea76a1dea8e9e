package anchor

import (
	"fmt"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// object is a thing that a rule of a chain uses. Its name is that of the chain, with more behind it where the chain has
// several. The kernel holds it while there is such a rule.
type object struct {
	name string
	kind uint32 // unix.NFT_OBJECT_*
}

// ofChain ends the name of the chain in that of an object.
const ofChain = "."

func (o object) chain() string {
	name, _, _ := strings.Cut(o.name, ofChain)
	return name
}

// objects lists those of the table.
func (t Table) objects() (out []object, err error) {
	err = t.dump(unix.NFT_MSG_GETOBJ, nil, func(ad *netlink.AttributeDecoder) error {
		var o object
		ours := false
		for ad.Next() {
			switch ad.Type() {
			case unix.NFTA_OBJ_TABLE:
				ours = ad.String() == Name
			case unix.NFTA_OBJ_NAME:
				o.name = ad.String()
			case unix.NFTA_OBJ_TYPE:
				o.kind = ad.Uint32()
			}
		}
		if ours {
			out = append(out, o)
		}
		return ad.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list the objects of nf_tables: %w", err)
	}
	return out, nil
}

// Names gives the names of all chains of the table, and of objects whose chain somebody has
// removed.
func (t Table) Names() ([]string, error) {
	chains, err := t.Chains()
	if err != nil {
		return nil, err
	}
	objects, err := t.objects()
	if err != nil {
		return nil, err
	}
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	for _, c := range chains {
		add(c.Name)
	}
	for _, o := range objects {
		add(o.chain())
	}
	return out, nil
}
