package iptables

import (
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

// ruleCounters reads "[packets:bytes]" at the start of a line, as
// tokenize_rule_counters() in iptables/xshared.c does with strtok(): the text may
// end at the ':' or ']' that it overwrites.
func (rd *reader) ruleCounters(text string) (n ruleset.Counters, ok bool, rest string, from int, f *fault) {
	if text[0] != '[' {
		return n, false, text, 0, nil
	}
	end := strings.IndexByte(text, ']')
	if end < 0 {
		return n, false, text, 0, &fault{thing: "[", what: "counters without ]", fix: "[packets:bytes]", said: saidCounters(rd.now.number)}
	}
	packets, cut := token(text, 1, ':')
	bytes, cut2 := "", cut
	if packets != "" && cut < len(text) {
		bytes, cut2 = token(text, cut+1, ']')
	}
	if bytes == "" {
		return n, false, text, 0, &fault{thing: "[", what: "counters need packets and bytes", fix: "[packets:bytes]", said: saidCounters(rd.now.number)}
	}
	if cut > end {
		text = text[:cut]
	} else if cut2 > end {
		text = text[:min(cut2, len(text))]
	}
	if !rd.o.Counters {
		return n, false, text, end + 1, nil
	}
	var okP, okB bool
	n.Packets, _, okP = scanUint(packets)
	n.Bytes, _, okB = scanUint(bytes)
	if !okP || !okB {
		return n, false, text, 0, &fault{at: 1, thing: "[", what: "packet and byte counters must be numbers", fix: "[packets:bytes]"}
	}
	return n, true, text, end + 1, nil
}

// token is strtok() with one delimiter: where it ends too.
func token(text string, from int, delimiter byte) (string, int) {
	for from < len(text) && text[from] == delimiter {
		from++
	}
	end := from
	for end < len(text) && text[end] != delimiter {
		end++
	}
	return text[from:end], end
}

// scanUint reads a number as sscanf("%llu") does: blanks and a sign may stand before
// it, anything may follow.
func scanUint(s string) (n uint64, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	negative := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		s = s[1:]
	}
	i, over := 0, false
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		d := uint64(s[i] - '0')
		over = over || n > (1<<64-1-d)/10
		n = n*10 + d
	}
	if over {
		n = 1<<64 - 1
	} else if negative {
		n = -n
	}
	return n, s[i:], i > 0
}

// parseCounters reads "[packets:bytes]"; the closing bracket may be missing.
func parseCounters(s string) (n ruleset.Counters, ok bool) {
	s, ok = strings.CutPrefix(s, "[")
	if !ok {
		return n, false
	}
	if n.Packets, s, ok = scanUint(s); !ok {
		return n, false
	}
	if s, ok = strings.CutPrefix(s, ":"); !ok {
		return n, false
	}
	n.Bytes, _, ok = scanUint(s)
	return n, ok
}
