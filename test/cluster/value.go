package cluster

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// Value is a JSON value with forgiving access: a path that is not there gives
// nil, an empty string, or an empty list.
type Value struct{ V any }

// J is a JSON object being written.
type J = map[string]any

// ParseJSON reads one JSON value. Numbers keep their text (json.Number).
func ParseJSON(text []byte) (Value, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	err := decoder.Decode(&v)
	return Value{v}, err
}

// Get follows a path of field names separated by dots.
func (v Value) Get(path string) Value {
	for name := range strings.SplitSeq(path, ".") {
		object, _ := v.V.(map[string]any)
		v = Value{object[name]}
	}
	return v
}

// At returns what is at a path, nil when there is nothing.
func (v Value) At(path string) any { return v.Get(path).V }

// Text returns the string or number at a path as text.
func (v Value) Text(path string) string {
	switch at := v.At(path).(type) {
	case string:
		return at
	case json.Number:
		return at.String()
	}
	return ""
}

// Number returns the number at a path.
func (v Value) Number(path string) float64 {
	number, _ := v.At(path).(json.Number)
	f, _ := number.Float64()
	return f
}

// List returns the elements of the array at a path; the empty path is v itself.
func (v Value) List(path string) []Value {
	at := v.V
	if path != "" {
		at = v.At(path)
	}
	array, _ := at.([]any)
	values := make([]Value, len(array))
	for i := range array {
		values[i] = Value{array[i]}
	}
	return values
}

// Find returns the first element of the array at a path whose field has the
// text, or a nil value.
func (v Value) Find(path, field, text string) Value {
	for _, element := range v.List(path) {
		if element.Text(field) == text {
			return element
		}
	}
	return Value{}
}

// String returns the value as JSON.
func (v Value) String() string {
	text, err := json.Marshal(v.V)
	if err != nil {
		return fmt.Sprint(v.V)
	}
	return string(text)
}

// Base64 returns bytes as JSON carries them.
func Base64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Bytes returns what Base64 text stands for.
func Bytes(text string) []byte {
	b, _ := base64.StdEncoding.DecodeString(text)
	return b
}
