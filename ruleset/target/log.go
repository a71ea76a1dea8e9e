package target

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var logKind = &ruleset.TargetKind{
	Name:     "LOG",
	Families: ruleset.Both,
	Doc:      "write a line about the packet to the kernel log",
	Options: []ruleset.Option{
		{Name: "log-level", NArgs: 1, Help: "0 to 7 or emerg, alert, crit, error, warning, notice, info, debug"},
		{Name: "log-prefix", NArgs: 1, Help: "text before the line, at most 29 bytes"},
		{Name: "log-tcp-sequence", Help: "log TCP sequence numbers"},
		{Name: "log-tcp-options", Help: "log TCP options"},
		{Name: "log-ip-options", Help: "log IP options"},
		{Name: "log-uid", Help: "log the user that owns the local socket"},
		{Name: "log-macdecode", Help: "log link addresses and protocol in words"},
	},
	New: func() ruleset.TargetBuilder { return &Log{Level: logWarning} },
}

// logFlags are the options without argument in the order of their bits in
// struct xt_log_info (include/uapi/linux/netfilter/xt_LOG.h), as -L shows them.
var logFlags = []struct {
	option string
	bit    uint8
	list   string
}{
	{"log-tcp-sequence", uint8(pred.LogTCPSequence), "tcp-sequence"},
	{"log-tcp-options", uint8(pred.LogTCPOptions), "tcp-options"},
	{"log-ip-options", uint8(pred.LogIPOptions), "ip-options"},
	{"log-uid", uint8(pred.LogUID), "uid"},
	{"log-macdecode", uint8(pred.LogMACDecode), "macdecode"},
}

const (
	logWarning    = 4
	logPrefixSize = 30
)

// logLevels are the names that --log-level takes (libxtables).
var logLevels = map[string]uint8{
	"emerg": 0, "panic": 0, "alert": 1, "crit": 2, "error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7,
}

// logLevelNames are the names that -L shows: the first of prioritynames of
// syslog.h with the value.
var logLevelNames = [...]string{"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"}

// Log is -j LOG.
type Log struct {
	used
	Level  uint8
	Prefix string
	Flags  uint8
}

// Set takes one option.
func (l *Log) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := l.once(option, negate); err != nil {
		return err
	}
	switch option {
	case "log-level":
		return l.setLevel(args[0])
	case "log-prefix":
		prefix, err := logPrefix(args[0], logPrefixSize)
		l.Prefix = prefix
		return err
	}
	for _, f := range logFlags {
		if f.option == option {
			l.Flags |= f.bit
		}
	}
	return nil
}

func (l *Log) setLevel(s string) error {
	if n, err := number(s, 0, 7); err == nil {
		l.Level = uint8(n)
		return nil
	}
	level, ok := logLevels[s]
	if !ok {
		return ruleset.InWords(fmt.Errorf("log level %q is unknown; 0 to 7 or emerg, alert, crit, error, warning, notice, info, debug", s), "log level \"%s\" unknown\n", s)
	}
	l.Level = level
	return nil
}

// logPrefix takes a prefix for a field of size bytes.
func logPrefix(s string, size int) (string, error) {
	if s == "" {
		return "", errors.New("the prefix is empty; leave the option out")
	}
	if strings.Contains(s, "\n") {
		return "", ruleset.InWords(errors.New("the prefix has a newline; remove it"), "Newlines not allowed in --log-prefix")
	}
	return cut(s, size), nil
}

// Done has nothing to check.
func (l *Log) Done(*ruleset.Env) error { return nil }

// Target gives the target that was built.
func (l *Log) Target() ruleset.Target { return l }

// Word is the name after -j.
func (l *Log) Word() string { return "LOG" }

// Args is the text after -j.
func (l *Log) Args() []string { return l.args(func(s string) string { return s }) }

// Text is what iptables-save prints: the prefix in quotes by need.
func (l *Log) Text() string { return strings.Join(l.args(ruleset.Quoted), " ") }

func (l *Log) args(quote func(string) string) []string {
	a := []string{"LOG"}
	if l.Prefix != "" {
		a = append(a, "--log-prefix", quote(l.Prefix))
	}
	if l.Level != logWarning {
		a = append(a, "--log-level", decimal(l.Level))
	}
	for _, f := range logFlags {
		if l.Flags&f.bit != 0 {
			a = append(a, "--"+f.option)
		}
	}
	return a
}

// List is the text of iptables -L.
func (l *Log) List(names ruleset.Names) string {
	s := fmt.Sprintf("LOG flags %d level %d", l.Flags, l.Level)
	if names != nil {
		s = "LOG level " + logLevelNames[l.Level]
		for _, f := range logFlags {
			if l.Flags&f.bit != 0 {
				s += " " + f.list
			}
		}
	}
	if l.Prefix != "" {
		s += ` prefix "` + l.Prefix + `"`
	}
	return s
}

// Check accepts every place (log_tg_check(), net/netfilter/xt_LOG.c).
func (l *Log) Check(*ruleset.Place) error { return nil }

// Lower gives the line.
func (l *Log) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.Log{Level: l.Level, Flags: pred.LogFlags(l.Flags), Prefix: l.Prefix})
}

func logOf(e pred.Log) *Log { return &Log{Level: e.Level, Flags: uint8(e.Flags), Prefix: e.Prefix} }
