package attach

import (
	"errors"
	"strconv"
)

// Reap removes what is left of network namespaces that only our links keep alive: they hold
// their namespace, with its interfaces, as a process in it, a mount or an open file of it
// does, and the kernel counts all of them. held says how many of the others the caller has
// itself; nil: none. Where the kernel does not tell the count, nothing is removed, nor is it
// without links: what such a namespace left takes little, and the next one with its number
// removes it (Claim).
func Reap(held map[string]int) error {
	suspects, err := suspects()
	if err != nil || len(suspects) == 0 {
		return err
	}
	links, err := allLinks()
	if err != nil {
		return err
	}
	count := map[string]int{}
	for _, l := range links {
		count[strconv.FormatUint(uint64(l.Inum), 10)]++
	}
	dead := map[string]bool{}
	for _, l := range links {
		inode := strconv.FormatUint(uint64(l.Inum), 10)
		// No cookie is no proof that it is another's.
		if suspects[inode] && int(l.Users) == count[inode]+held[inode] && owns(inode, l.Cookie) {
			dead[inode] = true
		}
	}
	var errs []error
	for inode := range dead {
		errs = append(errs, removeNetns(inode))
	}
	return errors.Join(errs...)
}

// owns says whether the pins under the inode of a namespace are of the one with a cookie.
func owns(inode string, cookie uint64) bool {
	cookies, err := cookiesOf(inode)
	return err == nil && len(cookies) == 1 && cookies[0] == strconv.FormatUint(cookie, 10)
}

// suspects are the other namespaces in which something of ours is pinned.
func suspects() (map[string]bool, error) {
	all, err := Occupied()
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, inode := range all {
		out[inode] = true
	}
	own, err := currentNetns()
	delete(out, own)
	return out, err
}
