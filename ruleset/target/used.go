package target

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

// used remembers which options of a word were given. Every target option may be
// given once and none may be negated (xtables_option_parse(), libxtables).
type used []string

// once notes an option.
func (u *used) once(option string, negate bool) error {
	if negate {
		return ruleset.InWordsOf(fmt.Errorf("--%s cannot be negated; leave ! out", option), "option \"--%s\" cannot be inverted.\n", option)
	}
	if u.has(option) {
		return ruleset.InWordsOf(fmt.Errorf("--%s is given twice; give it once", option), "option \"--%s\" can only be used once.\n", option)
	}
	*u = append(*u, option)
	return nil
}

// has says whether one of the options was given.
func (u used) has(options ...string) bool {
	return slices.ContainsFunc(options, func(o string) bool { return slices.Contains(u, o) })
}

// exclusive refuses two of the options together.
func (u used) exclusive(options ...string) error {
	var given []string
	for _, o := range options {
		if u.has(o) {
			given = append(given, o)
		}
	}
	if len(given) > 1 {
		return ruleset.InWordsOf(fmt.Errorf("--%s cannot be used together with --%s; keep one of them", given[0], given[1]),
			"option \"--%s\" cannot be used together with \"--%s\".\n", given[0], given[1])
	}
	return nil
}

// need refuses a rule without one of the options.
func (u used) need(options ...string) error {
	if u.has(options...) {
		return nil
	}
	if len(options) == 1 {
		return ruleset.InWordsOf(fmt.Errorf("--%s is missing; it must be given", options[0]), "option \"--%s\" must be specified\n", options[0])
	}
	return fmt.Errorf("no operation is given; give one of --%s", strings.Join(options, ", --"))
}

// cut is the string as it fits an array of size bytes with its final zero byte
// (xtopt_parse_string(), libxtables).
func cut(s string, size int) string {
	if len(s) >= size {
		return s[:size-1]
	}
	return s
}

// bare is the Builder of a word without options.
type bare struct{}

// Set refuses every option.
func (bare) Set(_ *ruleset.Env, option string, _ bool, _ []string) error {
	return fmt.Errorf("--%s is not an option of this target; remove it", option)
}

// Done has nothing to check.
func (bare) Done(*ruleset.Env) error { return nil }
