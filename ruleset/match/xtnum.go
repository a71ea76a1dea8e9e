package match

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

// strtou reads a number at the start of s as xtables_strtoul() of libxtables does:
// leading white space, a sign '+', then 0x for hex, 0 for octal, else decimal. rest
// is what follows; ok is false without a number, for "-1" and above 64 bits.
func strtou(s string) (v uint64, rest string, ok bool) {
	p := strings.TrimLeft(s, " \t\n\v\f\r")
	if strings.HasPrefix(p, "-") {
		return 0, s, false
	}
	p = strings.TrimPrefix(p, "+")
	base := 10
	switch {
	case len(p) > 2 && (p[:2] == "0x" || p[:2] == "0X") && digit(p[2]) < 16:
		base, p = 16, p[2:]
	case strings.HasPrefix(p, "0"):
		base = 8
	}
	return digits(p, s, base)
}

func digits(p, whole string, base int) (v uint64, rest string, ok bool) {
	n := 0
	for n < len(p) && digit(p[n]) < base {
		n++
	}
	if n == 0 {
		return 0, whole, false
	}
	v, err := strconv.ParseUint(p[:n], base, 64)
	return v, p[n:], err == nil
}

func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'Z':
		return int(c-'A') + 10
	}
	return math.MaxInt
}

// number reads a whole argument as a number from lo to hi (XTTYPE_UINT*).
func number(option, arg string, lo, hi uint64) (uint64, error) {
	v, rest, ok := strtou(arg)
	if !ok || rest != "" || v < lo || v > hi {
		return 0, ruleset.InWordsOf(fmt.Errorf("--%s: %q is not a number from %d to %d", option, arg, lo, hi),
			"bad value for option \"--%s\", or out of range (%d-%d).\n", option, lo, hi)
	}
	return v, nil
}

// number32 is number for 32 bits.
func number32(option, arg string, lo uint64) (uint32, error) {
	v, err := number(option, arg, lo, math.MaxUint32)
	return uint32(v), err
}

// numberRange reads "lo", "lo:", ":hi" or "lo:hi" (XTTYPE_UINT*RC); n is the number
// of parts, a part left out is 0 or hi.
func numberRange(option, arg string, hi uint64) (v [2]uint64, n int, err error) {
	parts := strings.Split(arg, ":")
	if len(parts) > 2 {
		return v, 0, ruleset.InWordsOf(fmt.Errorf("--%s: %q has more than two parts", option, arg), "Too many components for option \"--%s\" (max: 2)\n", option)
	}
	for i, part := range parts {
		if part == "" {
			v[i] = uint64(i) * hi
			continue
		}
		if v[i], err = number(option, part, 0, hi); err != nil {
			return v, 0, saidRange(err, option, strings.Join(parts[i:], ":"), hi)
		}
	}
	return v, len(parts), nil
}

// saidRange words the fault of a part of a range, of which near is left (xtopt_parse_mint(), libxtables).
func saidRange(err error, option, near string, hi uint64) error {
	if v, rest, ok := strtou(near); ok && v <= hi {
		return ruleset.InWordsOf(errors.Unwrap(err), "Argument to \"--%s\" has unexpected characters near \"%s\".\n", option, rest)
	}
	return ruleset.InWordsOf(errors.Unwrap(err), "bad value for option \"--%s\" near \"%s\", or out of range (0-%d).\n", option, near, hi)
}

// atoi reads a number as atoll() of C does: what follows the digits is ignored,
// no digits are 0.
func atoi(s string) int64 {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	n := 0
	if n < len(s) && (s[n] == '-' || s[n] == '+') {
		n++
	}
	for n < len(s) && digit(s[n]) < 10 {
		n++
	}
	v, _ := strconv.ParseInt(s[:n], 10, 64) // out of range: the nearest, as in C
	return v
}

// strtol10 reads a decimal number at the start of s as strtoul(s, &rest, 10) does.
func strtol10(s string) (v uint64, rest string) {
	p := strings.TrimLeft(s, " \t\n\v\f\r")
	negative := strings.HasPrefix(p, "-")
	if negative || strings.HasPrefix(p, "+") {
		p = p[1:]
	}
	n := 0
	for n < len(p) && digit(p[n]) < 10 {
		n++
	}
	if n == 0 {
		return 0, s
	}
	v, _ = strconv.ParseUint(p[:n], 10, 64)
	if negative {
		v = -v
	}
	return v, p[n:]
}

// valueMask is "value/mask" of a mark, a device group or a realm.
type valueMask struct{ value, mask uint32 }

// parseValueMask reads "value[/mask]" as xtables_parse_val_mask() does.
func parseValueMask(option, arg string) (vm valueMask, err error) {
	vm.mask = math.MaxUint32
	value, mask, masked := strings.Cut(arg, "/")
	if vm.value, err = number32(option, value, 0); err == nil && masked {
		vm.mask, err = number32(option, mask, 0)
	}
	if err != nil {
		err = saidMask(errors.Unwrap(err), option, arg)
	}
	return vm, err
}

// saidMask words the fault of a value with a mask.
func saidMask(err error, option, arg string) error {
	v, rest, ok := strtou(arg)
	if ok && strings.HasPrefix(rest, "/") && v <= math.MaxUint32 {
		v, rest, ok = strtou(rest[1:])
	}
	if ok && v <= math.MaxUint32 && rest != "" {
		return ruleset.InWordsOf(err, "trailing garbage after value for option \"--%s\".\n", option)
	}
	return ruleset.InWordsOf(err, "bad integer value for option \"--%s\", or out of range.\n", option)
}

// String prints as xtables_print_val_mask() does.
func (vm valueMask) String() string {
	if vm.mask != math.MaxUint32 {
		return fmt.Sprintf("0x%x/0x%x", vm.value, vm.mask)
	}
	return fmt.Sprintf("0x%x", vm.value)
}

// namedMask is a valueMask whose value may have a name in a file.
type namedMask struct {
	valueMask
	name string // of the value; printed if there is no mask
}

// nameFiles is a Resolver that also knows the way back, as ruleset.Names, and which files of names there are.
type nameFiles interface {
	NameIn(file string, number uint32) (string, bool)
	Has(file string) bool
}

// parseNamedMask reads "value[/mask]" or a name from a file of names under
// /etc/iproute2, and looks up the name that iptables-save prints for the value.
func parseNamedMask(env *ruleset.Env, file, option, arg string) (nm namedMask, err error) {
	nm.valueMask, err = parseValueMask(option, arg)
	if err != nil && env.Resolve != nil {
		if v, ok := env.Resolve.Named(file, arg); ok {
			nm = namedMask{valueMask{v, math.MaxUint32}, arg}
			err = nil
		}
	}
	files, ok := env.Resolve.(nameFiles)
	if !ok {
		return nm, err
	}
	if err != nil {
		if files.Has(file) {
			err = ruleset.InWordsOf(errors.Unwrap(err), "could not map name %s to an integer value for option \"--%s\".\n", arg, option)
		}
		return nm, err
	}
	if name, ok := files.NameIn(file, nm.value); ok {
		nm.name = name
	}
	return nm, nil
}

// named says whether a name is printed, to which a file gives its meaning.
func (nm namedMask) named() bool { return nm.mask == math.MaxUint32 && nm.name != "" }

// String prints as xtables_print_val_mask() does with a list of names.
func (nm namedMask) String() string {
	if nm.named() {
		return nm.name
	}
	return nm.valueMask.String()
}
