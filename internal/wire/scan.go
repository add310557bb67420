package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how many objects and arrays may stand inside each other, as in
// Mesos.
const maxDepth = 200

// maxQuote is how much of a refused text an error quotes, in bytes.
const maxQuote = 256

// A SyntaxError says that a text is not JSON.
type SyntaxError struct{ text string }

// Error is Mesos's text: the line and what remains of it.
func (e *SyntaxError) Error() string { return e.text }

// A scanner reads JSON as Mesos's parser (picojson) does: strictly, but for
// numbers, which are whatever C's strtod takes. Its methods consume what they
// are named for and tell whether it was there; after the first that was not,
// err is set and the scanner is done for.
type scanner struct {
	in      []byte
	pos     int
	depth   int
	scratch []byte // the last string with escapes
	err     *SyntaxError
}

// fail reports that what stands at pos cannot. read tells whether the byte
// before pos was the last one looked at, rather than the one at pos; Mesos
// counts lines by it.
func (s *scanner) fail(pos int, read bool) bool {
	last := pos
	if read || pos >= len(s.in) {
		last = max(pos-1, 0)
	}
	line := 1 + bytes.Count(s.in[:min(last, len(s.in))], []byte("\n"))
	rest, _, _ := bytes.Cut(s.in[min(pos, len(s.in)):], []byte("\n"))
	near := strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, clip(string(rest)))
	s.err = &SyntaxError{fmt.Sprintf("syntax error at line %d near: %s", line, near)}
	return false
}

// clip shortens a text that is quoted in an error.
func clip(text string) string { return text[:min(len(text), maxQuote)] }

func (s *scanner) skipSpace() {
	for s.pos < len(s.in) {
		switch s.in[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the next byte after white space, or 0 at the end.
func (s *scanner) peek() byte {
	s.skipSpace()
	if s.pos == len(s.in) {
		return 0
	}
	return s.in[s.pos]
}

// expect consumes c after white space.
func (s *scanner) expect(c byte) bool {
	if s.peek() != c || s.pos == len(s.in) {
		return s.fail(s.pos, false)
	}
	s.pos++
	return true
}

// accept consumes c after white space if it is there.
func (s *scanner) accept(c byte) bool {
	if s.pos == len(s.in) || s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// literal consumes the word.
func (s *scanner) literal(word string) bool {
	for i := range len(word) {
		if s.pos == len(s.in) || s.in[s.pos] != word[i] {
			return s.fail(s.pos, false)
		}
		s.pos++
	}
	return true
}

// open consumes the bracket that begins an object or an array.
func (s *scanner) open() bool {
	s.pos++
	if s.depth == maxDepth {
		return s.fail(s.pos, true)
	}
	s.depth++
	return true
}

// object calls member for each member's key; member consumes the value. The
// key is good until then.
func (s *scanner) object(member func(key []byte) bool) bool {
	if !s.open() {
		return false
	}
	defer func() { s.depth-- }()
	if s.accept('}') {
		return true
	}
	for {
		if !s.expect('"') {
			return false
		}
		key, ok := s.str()
		if !ok || !s.expect(':') || !member(key) {
			return false
		}
		if !s.accept(',') {
			return s.expect('}')
		}
	}
}

// array calls element where each element stands; element consumes it.
func (s *scanner) array(element func() bool) bool {
	if !s.open() {
		return false
	}
	defer func() { s.depth-- }()
	if s.accept(']') {
		return true
	}
	for {
		if !element() {
			return false
		}
		if !s.accept(',') {
			return s.expect(']')
		}
	}
}

// str consumes a string whose opening quote has been consumed. The result is
// good until the next call.
func (s *scanner) str() ([]byte, bool) {
	start := s.pos
	for i := start; i < len(s.in); i++ {
		switch c := s.in[i]; {
		case c == '"':
			s.pos = i + 1
			return s.in[start:i], true
		case c == '\\':
			s.scratch = append(s.scratch[:0], s.in[start:i]...)
			s.pos = i
			return s.scratch, s.escaped()
		case c < ' ':
			s.pos = i
			return nil, s.fail(i, false)
		}
	}
	s.pos = len(s.in)
	return nil, s.fail(s.pos, false)
}

// escaped appends the rest of a string to scratch.
func (s *scanner) escaped() bool {
	for s.pos < len(s.in) {
		c := s.in[s.pos]
		if c < ' ' {
			return s.fail(s.pos, false)
		}
		s.pos++
		switch c {
		case '"':
			return true
		case '\\':
			if !s.escape() {
				return false
			}
		default:
			s.scratch = append(s.scratch, c)
		}
	}
	return s.fail(s.pos, false)
}

// escape appends what an escape, its backslash consumed, stands for.
func (s *scanner) escape() bool {
	if s.pos == len(s.in) {
		return s.fail(s.pos, false)
	}
	c := s.in[s.pos]
	s.pos++
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.codepoint()
	default:
		return s.fail(s.pos, true)
	}
	s.scratch = append(s.scratch, c)
	return true
}

// codepoint appends the rune of a \u escape, or of a pair of them.
func (s *scanner) codepoint() bool {
	r, ok := s.hex()
	if !ok {
		return false
	}
	if r >= 0xdc00 && r <= 0xdfff {
		return s.fail(s.pos, true)
	}
	if r >= 0xd800 && r < 0xdc00 {
		if !s.literal(`\u`) {
			return false
		}
		low, ok := s.hex()
		if !ok {
			return false
		}
		if low < 0xdc00 || low > 0xdfff {
			return s.fail(s.pos, true)
		}
		r = (r-0xd800)<<10 | (low - 0xdc00) + 0x10000
	}
	s.scratch = utf8.AppendRune(s.scratch, r)
	return true
}

// hex consumes four hexadecimal digits.
func (s *scanner) hex() (rune, bool) {
	var r rune
	for range 4 {
		if s.pos == len(s.in) {
			return 0, s.fail(s.pos, false)
		}
		digit, err := strconv.ParseUint(string(s.in[s.pos]), 16, 8)
		if err != nil || s.in[s.pos] >= utf8.RuneSelf {
			return 0, s.fail(s.pos, false)
		}
		r = r<<4 | rune(digit)
		s.pos++
	}
	return r, true
}

// A number is a JSON number: an integer that fits, else a double.
type number struct {
	kind numberKind
	i    int64
	u    uint64 // beyond int64
	f    float64
}

type numberKind byte

const (
	signed numberKind = iota
	unsigned
	floating
)

// number consumes a number.
func (s *scanner) number() (number, bool) {
	start := s.pos
	for s.pos < len(s.in) && isNumeric(s.in[s.pos]) {
		s.pos++
	}
	text := s.in[start:s.pos]
	if i, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return number{i: i}, true
	}
	if u, err := strconv.ParseUint(string(text), 10, 64); err == nil {
		return number{kind: unsigned, u: u}, true
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		s.fail(s.pos, false)
		if errors.Is(err, strconv.ErrRange) {
			s.err = &SyntaxError{"Value out of range"}
		}
		return number{}, false
	}
	return number{kind: floating, f: f}, true
}

func isNumeric(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'
}

// end consumes white space up to the end of the text.
func (s *scanner) end() bool {
	if s.skipSpace(); s.pos == len(s.in) {
		return true
	}
	rest := strings.TrimRight(clip(string(s.in[s.pos:])), " \t\n\r")
	s.err = &SyntaxError{"Parsed JSON included non-whitespace trailing characters: " + rest}
	return false
}

// skip consumes any value.
func (s *scanner) skip() bool {
	switch c := s.peek(); {
	case c == '{':
		return s.object(func([]byte) bool { return s.skip() })
	case c == '[':
		return s.array(s.skip)
	case c == '"':
		s.pos++
		_, ok := s.str()
		return ok
	case c == 'n':
		return s.literal("null")
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c >= '0' && c <= '9' || c == '-':
		_, ok := s.number()
		return ok
	default:
		return s.fail(s.pos, false)
	}
}
