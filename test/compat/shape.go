// Package compat compares a live cluster with samples captured from Apache
// Mesos: field names, their order, types, the form of numbers, header sets,
// status codes and words, but neither ids, times nor facts of the machine.
package compat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Shape is what remains of JSON values when their contents are taken away: the
// kinds of value seen at one place and, below them, the fields of the objects
// and the elements of the arrays, all those of one place merged.
type Shape struct {
	kinds   map[string]bool    // of "null bool string integer double array object"
	objects int                // how many objects were merged
	fields  []*field           // about in the order in which they are written
	before  map[[2]string]bool // of two fields of one object, which came first
	element *Shape             // of the arrays, nil when all were empty
}

type field struct {
	name  string
	count int // in how many of the objects it is present
	Shape
}

// ShapeOf returns the shape of JSON texts taken together.
func ShapeOf(texts ...[]byte) (*Shape, error) {
	s := &Shape{}
	for _, text := range texts {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := s.read(decoder); err != nil {
			return nil, fmt.Errorf("reading %.40q: %w", text, err)
		}
		if _, err := decoder.Token(); err != io.EOF {
			return nil, fmt.Errorf("more than one value in %.40q", text)
		}
	}
	return s, nil
}

// read merges the next value of the decoder into the shape.
func (s *Shape) read(decoder *json.Decoder) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	if s.kinds == nil {
		s.kinds = map[string]bool{}
	}
	s.kinds[kind(token)] = true
	switch token {
	case json.Delim('{'):
		return s.readObject(decoder)
	case json.Delim('['):
		return s.readArray(decoder)
	}
	return nil
}

func kind(token json.Token) string {
	switch token := token.(type) {
	case json.Delim:
		return map[json.Delim]string{'{': "object", '[': "array"}[token]
	case json.Number:
		if strings.ContainsAny(string(token), ".eE") {
			return "double"
		}
		return "integer"
	case string:
		return "string"
	case bool:
		return "bool"
	}
	return "null"
}

func (s *Shape) readObject(decoder *json.Decoder) error {
	s.objects++
	var names []string
	at := 0 // where an unknown field goes: after the one before it
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		i := s.index(name.(string))
		if i < 0 {
			i = at
			s.fields = slices.Insert(s.fields, i, &field{name: name.(string)})
		}
		at = i + 1
		names = append(names, s.fields[i].name)
		s.fields[i].count++
		if err := s.fields[i].read(decoder); err != nil {
			return err
		}
	}
	s.note(names)
	_, err := decoder.Token()
	return err
}

// note keeps the order of the fields of one object.
func (s *Shape) note(names []string) {
	if s.before == nil {
		s.before = map[[2]string]bool{}
	}
	for i, name := range names {
		for _, later := range names[i+1:] {
			s.before[[2]string{name, later}] = true
		}
	}
}

func (s *Shape) readArray(decoder *json.Decoder) error {
	for decoder.More() {
		if s.element == nil {
			s.element = &Shape{}
		}
		if err := s.element.read(decoder); err != nil {
			return err
		}
	}
	_, err := decoder.Token()
	return err
}

func (s *Shape) index(name string) int {
	return slices.IndexFunc(s.fields, func(f *field) bool { return f.name == name })
}

// Rules say where a comparison looks away. Paths are field names joined by
// dots, with [] for an element; "" is the whole.
type Rules struct {
	// Open lists the objects whose names are data, such as roles or flags.
	Open []string
	// Missing lists the fields that need not be there; one that begins with a
	// dot is meant wherever a path ends so.
	Missing []string
	// Extra lists the fields that ours may have besides.
	Extra []string
	// Unordered lists the objects whose fields may come in any order.
	Unordered []string
}

// Diff returns what is different in got, one line each: a field missing that
// every sample has, one that no sample has, another kind of value, another order.
func Diff(want, got *Shape, rules Rules) []string {
	return rules.diff("", want, got)
}

func (r Rules) diff(path string, want, got *Shape) []string {
	var lines []string
	for _, kind := range sorted(got.kinds) {
		if !want.kinds[kind] && len(want.kinds) > 0 {
			lines = append(lines, fmt.Sprintf("%s: is %s, in Mesos %s", show(path), kind, strings.Join(sorted(want.kinds), " or ")))
		}
	}
	if want.element != nil && got.element != nil {
		lines = append(lines, r.diff(path+"[]", want.element, got.element)...)
	}
	if want.objects == 0 || got.objects == 0 || slices.Contains(r.Open, path) {
		return lines
	}
	return append(lines, r.diffFields(path, want, got)...)
}

func (r Rules) diffFields(path string, want, got *Shape) []string {
	var lines []string
	for _, field := range got.fields {
		below := join(path, field.name)
		if i := want.index(field.name); i >= 0 {
			lines = append(lines, r.diff(below, &want.fields[i].Shape, &field.Shape)...)
		} else if !slices.Contains(r.Extra, below) {
			lines = append(lines, below+": is there, in Mesos it is not")
		}
	}
	for _, field := range want.fields {
		below := join(path, field.name)
		i := got.index(field.name)
		always := field.count == want.objects
		switch {
		case r.mayMiss(below) || !always:
		case i < 0:
			lines = append(lines, below+": is missing")
		case got.fields[i].count < got.objects:
			lines = append(lines, fmt.Sprintf("%s: is missing in %d of %d", below, got.objects-got.fields[i].count, got.objects))
		}
	}
	return append(lines, r.diffOrder(path, want, got)...)
}

func (r Rules) mayMiss(path string) bool {
	return slices.ContainsFunc(r.Missing, func(rule string) bool {
		return path == rule || rule[0] == '.' && strings.HasSuffix(path, rule)
	})
}

// diffOrder names the first two fields that ours has the other way round.
func (r Rules) diffOrder(path string, want, got *Shape) []string {
	if slices.Contains(r.Unordered, path) {
		return nil
	}
	for i, first := range want.fields {
		for _, second := range want.fields[i+1:] {
			pair, reverse := [2]string{first.name, second.name}, [2]string{second.name, first.name}
			if want.before[pair] && !want.before[reverse] && got.before[reverse] {
				return []string{fmt.Sprintf("%s: %s comes before %s, in Mesos after it", show(path), second.name, first.name)}
			}
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func show(path string) string {
	if path == "" {
		return "the whole"
	}
	return path
}

func sorted(set map[string]bool) []string {
	var names []string
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
