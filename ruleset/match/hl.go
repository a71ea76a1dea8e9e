package match

import "github.com/bpftables/bpftables/ruleset"

// hlKind is -m hl.
var hlKind = hopLimitKind("hl", ruleset.OnlyIPv6, "the hop limit of IPv6", 7)
