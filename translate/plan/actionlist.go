package plan

import (
	"bytes"
	"fmt"

	"github.com/bpftables/bpftables/ruleset/pred"
)

// ActionList is the actions of a table by their numbers, as a state keeps them: a line of text each. There may be
// very many, of which a change looks for some; the others are not read.
type ActionList struct {
	text  []byte
	ends  []int          // of the lines
	known map[string]int // numbers by lines; nil: nobody has looked for one yet
}

// NewActionList lists actions.
func NewActionList(actions []Action) (*ActionList, error) {
	l := &ActionList{}
	for _, a := range actions {
		line, err := pred.EncodeEffect(a.Effect)
		if err != nil {
			return nil, err
		}
		l.add(line)
	}
	return l, nil
}

// ReadActionList reads what Text gave, and keeps it.
func ReadActionList(text []byte) *ActionList {
	l := &ActionList{text: text[:len(text):len(text)]}
	for at := 0; at < len(text); {
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			break
		}
		at += n + 1
		l.ends = append(l.ends, at)
	}
	return l
}

// Text is the list.
func (l *ActionList) Text() []byte {
	if l == nil {
		return nil
	}
	return l.text
}

// Len is how many there are.
func (l *ActionList) Len() int {
	if l == nil {
		return 0
	}
	return len(l.ends)
}

// line is that of an action, without its end.
func (l *ActionList) line(number int) []byte {
	from := 0
	if number > 0 {
		from = l.ends[number-1]
	}
	return l.text[from : l.ends[number]-1]
}

// At is the action with a number.
func (l *ActionList) At(number int) (pred.Effect, error) {
	if number < 0 || number >= l.Len() {
		return nil, fmt.Errorf("there is no action %d, of %d", number, l.Len())
	}
	return pred.DecodeEffect(l.line(number))
}

// Number is that of an effect; false: it has none.
func (l *ActionList) Number(e pred.Effect) (int, bool) {
	line, err := pred.EncodeEffect(e)
	if l == nil || err != nil {
		return 0, false
	}
	n, is := l.numbers()[string(line)]
	return n, is
}

func (l *ActionList) numbers() map[string]int {
	if l.known == nil {
		l.known = make(map[string]int, l.Len())
		for i := range l.ends {
			l.known[string(l.line(i))] = i
		}
	}
	return l.known
}

// Add gives an effect that has none the next number.
func (l *ActionList) Add(e pred.Effect) (int, error) {
	line, err := pred.EncodeEffect(e)
	if err != nil {
		return 0, err
	}
	l.numbers()[string(line)] = l.Len()
	l.add(line)
	return l.Len() - 1, nil
}

func (l *ActionList) add(line []byte) {
	l.text = append(append(l.text, line...), '\n')
	l.ends = append(l.ends, len(l.text))
}

// Cut takes all from a number on away.
func (l *ActionList) Cut(number int) {
	for l.Len() > max(number, 0) {
		last := l.Len() - 1
		if l.known != nil {
			delete(l.known, string(l.line(last)))
		}
		from := 0
		if last > 0 {
			from = l.ends[last-1]
		}
		l.text, l.ends = l.text[:from], l.ends[:last]
	}
}
