package datapath

import "encoding/json"

// Later is a part of what is stored that few commands ask for: it is read when somebody does.
type Later[T any] struct {
	text  json.RawMessage
	value *T
}

// Now is a part that is there.
func Now[T any](value T) Later[T] { return Later[T]{value: &value} }

// IsZero says that nothing is there.
func (l Later[T]) IsZero() bool { return l.text == nil && l.value == nil }

// Get reads it; the zero value where nothing is there.
func (l *Later[T]) Get() (value T, err error) {
	if l.value == nil && l.text != nil {
		if err := json.Unmarshal(l.text, &value); err != nil {
			return value, err
		}
		l.value = &value
	}
	if l.value != nil {
		value = *l.value
	}
	return value, nil
}

// MarshalJSON gives it as it was read, or as it is.
func (l Later[T]) MarshalJSON() ([]byte, error) {
	if l.value == nil && l.text != nil {
		return l.text, nil
	}
	return json.Marshal(l.value)
}

// UnmarshalJSON keeps the text.
func (l *Later[T]) UnmarshalJSON(data []byte) error {
	l.text, l.value = append(json.RawMessage{}, data...), nil
	if string(data) == "null" {
		l.text = nil
	}
	return nil
}
