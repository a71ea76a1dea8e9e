package pred

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
)

// encodedEffect is the stored form of an effect.
type encodedEffect struct {
	Kind  string          `json:"kind"`
	Value json.RawMessage `json:"value"`
}

// EncodeEffect gives the stored form of an effect: JSON with the name of its type. Texts
// in it may have any bytes.
func EncodeEffect(e Effect) ([]byte, error) {
	v := reflect.New(reflect.TypeOf(e)).Elem()
	v.Set(reflect.ValueOf(e))
	if err := eachText(v, escapeText); err != nil {
		return nil, err
	}
	value, err := json.Marshal(v.Interface())
	if err != nil {
		return nil, err
	}
	return json.Marshal(encodedEffect{v.Type().Name(), value})
}

// DecodeEffect reads what EncodeEffect gave.
func DecodeEffect(data []byte) (Effect, error) {
	var code encodedEffect
	if err := json.Unmarshal(data, &code); err != nil {
		return nil, err
	}
	for _, e := range Effects {
		t := reflect.TypeOf(e)
		if t.Name() != code.Kind {
			continue
		}
		v := reflect.New(t)
		if err := json.Unmarshal(code.Value, v.Interface()); err != nil {
			return nil, err
		}
		if err := eachText(v.Elem(), unescapeText); err != nil {
			return nil, err
		}
		return v.Elem().Interface().(Effect), nil
	}
	return nil, fmt.Errorf("effect %q is not known to this version", code.Kind)
}

// eachText changes every text in a value.
func eachText(v reflect.Value, change func(string) (string, error)) error {
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case f.Kind() == reflect.String:
			s, err := change(f.String())
			if err != nil {
				return err
			}
			f.SetString(s)
		case f.Kind() == reflect.Struct && f.Type().PkgPath() == v.Type().PkgPath():
			if err := eachText(f, change); err != nil {
				return err
			}
		}
	}
	return nil
}

// escapeText makes a text of ASCII, as JSON replaces bytes that are no UTF-8.
func escapeText(s string) (string, error) {
	s = strconv.QuoteToASCII(s)
	return s[1 : len(s)-1], nil
}

func unescapeText(s string) (string, error) { return strconv.Unquote(`"` + s + `"`) }
