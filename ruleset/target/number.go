package target

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

const maxUint32 = 1<<32 - 1

// leadingNumber reads a number as strtoumax() with base 0 does and gives what
// stands behind it. A minus sign is refused (xtables_strtoul(), libxtables).
func leadingNumber(s string) (v uint64, rest string, ok bool) {
	s = strings.TrimPrefix(strings.TrimLeft(s, " \t\n\v\f\r"), "+")
	base, digits := 10, "0123456789"
	switch {
	case len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X") && strings.ContainsRune(hexDigits, rune(s[2])):
		s, base, digits = s[2:], 16, hexDigits
	case strings.HasPrefix(s, "0"):
		base, digits = 8, "01234567"
	}
	rest = strings.TrimLeft(s, digits)
	v, err := strconv.ParseUint(s[:len(s)-len(rest)], base, 64)
	return v, rest, err == nil
}

const hexDigits = "0123456789abcdefABCDEF"

// number reads a number that is the whole argument.
func number(s string, lo, hi uint64) (uint64, error) {
	v, rest, ok := leadingNumber(s)
	if !ok || rest != "" || v < lo || v > hi {
		return 0, ruleset.InWordsOf(fmt.Errorf("%q is not a number from %d to %d", s, lo, hi),
			"bad value for option \"--%s\", or out of range (%d-%d).\n", ruleset.OptionName, lo, hi)
	}
	return v, nil
}

// markMask reads VALUE or VALUE/MASK (xtables_parse_val_mask(), libxtables).
func markMask(s string) (mark, mask uint32, err error) {
	v, rest, ok := leadingNumber(s)
	if !ok || v > maxUint32 {
		return 0, 0, ruleset.InWordsOf(fmt.Errorf("%q is not a number from 0 to %#x", s, uint32(maxUint32)), "bad integer value for option \"--%s\", or out of range.\n", ruleset.OptionName)
	}
	m := uint64(maxUint32)
	if strings.HasPrefix(rest, "/") {
		if m, rest, ok = leadingNumber(rest[1:]); !ok || m > maxUint32 {
			return 0, 0, ruleset.InWordsOf(fmt.Errorf("the mask of %q is not a number from 0 to %#x", s, uint32(maxUint32)), "bad integer value for option \"--%s\", or out of range.\n", ruleset.OptionName)
		}
	}
	if rest != "" {
		return 0, 0, ruleset.InWordsOf(fmt.Errorf("%q has %q behind the number; give VALUE or VALUE/MASK", s, rest), "trailing garbage after value for option \"--%s\".\n", ruleset.OptionName)
	}
	return uint32(v), uint32(m), nil
}

// hex32 prints as printf("0x%x").
func hex32(v uint32) string { return "0x" + strconv.FormatUint(uint64(v), 16) }

// decimal prints as printf("%u").
func decimal[T uint8 | uint16 | uint32 | uint64](v T) string {
	return strconv.FormatUint(uint64(v), 10)
}
