package compat

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Line is one value of a protobuf message: the numbers of the fields that lead
// to it, joined by dots, and the value as it stands on the wire.
type Line struct {
	Path  string
	Value string // a decimal, or the bytes of a string
	Kind  byte   // 'v' a varint, 'd' a fixed64, 'f' a fixed32, 's' bytes, 'm' a message's beginning
}

func (l Line) String() string {
	switch l.Kind {
	case 's':
		return fmt.Sprintf("%s %q", l.Path, l.Value)
	case 'm':
		return l.Path + " {"
	}
	return l.Path + " " + l.Value
}

// Lines flattens an encoded message without knowing its type, so that nothing
// it contains can be overlooked. Bytes that are neither text nor as long as a
// UUID are taken for a message when they parse as one.
func Lines(message []byte) ([]Line, error) {
	lines, ok := appendLines(nil, "", message)
	if !ok {
		return nil, fmt.Errorf("no protobuf message: %.40q", message)
	}
	return lines, nil
}

func appendLines(lines []Line, above string, b []byte) ([]Line, bool) {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 || tag>>3 > 10000 {
			return nil, false
		}
		b = b[n:]
		path := strconv.FormatUint(tag>>3, 10)
		if above != "" {
			path = above + "." + path
		}
		var ok bool
		if lines, b, ok = appendField(lines, path, int(tag&7), b); !ok {
			return nil, false
		}
	}
	return lines, true
}

// appendField reads the value of one field and returns what is left of b.
func appendField(lines []Line, path string, wireType int, b []byte) ([]Line, []byte, bool) {
	switch wireType {
	case 0:
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, nil, false
		}
		return append(lines, Line{path, strconv.FormatUint(v, 10), 'v'}), b[n:], true
	case 1:
		if len(b) < 8 {
			return nil, nil, false
		}
		v := math.Float64frombits(binary.LittleEndian.Uint64(b))
		return append(lines, Line{path, fmt.Sprint(v), 'd'}), b[8:], true
	case 2:
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return nil, nil, false
		}
		return appendBytes(lines, path, b[n:n+int(length)]), b[n+int(length):], true
	case 5:
		if len(b) < 4 {
			return nil, nil, false
		}
		return append(lines, Line{path, strconv.FormatUint(uint64(binary.LittleEndian.Uint32(b)), 10), 'f'}), b[4:], true
	}
	return nil, nil, false
}

func appendBytes(lines []Line, path string, b []byte) []Line {
	if len(b) != 16 && !printable(b) {
		if below, ok := appendLines(append(lines, Line{Path: path, Kind: 'm'}), path, b); ok {
			return below
		}
	}
	return append(lines, Line{path, string(b), 's'})
}

func printable(b []byte) bool {
	return !strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' && r != '\t' || r == '\uFFFD' || r == 0x7f })
}
