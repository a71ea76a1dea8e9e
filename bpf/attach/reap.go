package attach

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
)

// Reap removes what is left of network namespaces that only our links keep alive: they hold
// their namespace, with its interfaces, as a process in it, a mount or an open file of it
// does, and the kernel counts all of them. held says how many of the others the caller has
// itself; nil: none. Where the kernel does not tell the count, nothing is removed, nor is it
// without links: what such a namespace left takes little, and the next one with its number
// removes it (Claim).
func Reap(held map[string]int) error {
	own, err := currentNetns()
	if err == nil {
		_, err = reap(own, held)
	}
	return err
}

// reap is Reap for a thread in a namespace. It gives the links that are left, if they had to
// be read for that.
func reap(own string, held map[string]int) ([]hooked, error) {
	if some, err := othersPinned(own); err != nil || !some {
		return nil, err
	}
	links, err := allLinks()
	if err != nil {
		return nil, err
	}
	type namespace struct{ links, users int }
	all := map[uint32]namespace{}
	for _, l := range links {
		all[l.Inum] = namespace{all[l.Inum].links + 1, int(l.Users)}
	}
	dead := map[uint32]bool{}
	for _, l := range links {
		inode, n := strconv.FormatUint(uint64(l.Inum), 10), all[l.Inum]
		// No cookie is no proof that it is another's.
		if n.users != 0 && inode != own && n.users == n.links+held[inode] && owns(inode, l.Cookie) {
			dead[l.Inum] = true
		}
	}
	var errs []error
	for inode := range dead {
		errs = append(errs, removeNetns(strconv.FormatUint(uint64(inode), 10)))
	}
	return slices.DeleteFunc(links, func(l hooked) bool { return dead[l.Inum] }), errors.Join(errs...)
}

// owns says whether the pins under the inode of a namespace are of the one with a cookie.
func owns(inode string, cookie uint64) bool {
	cookies, err := cookiesOf(inode)
	return err == nil && len(cookies) == 1 && cookies[0] == strconv.FormatUint(cookie, 10)
}

// othersPinned says whether something is pinned of another namespace than that of the thread.
func othersPinned(own string) (bool, error) {
	entries, err := os.ReadDir(pinRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		_, err := strconv.ParseUint(e.Name(), 10, 64)
		return err == nil && e.Name() != own
	}), err
}
