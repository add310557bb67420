package flags

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A value is what a flag is bound to.
type value interface {
	set(text string) error
	text() string // as /flags shows it
	kind() string // what to write in its place, for the help
}

// binding binds a flag to a variable.
type binding[T any] struct {
	dst    *T
	parse  func(string) (T, error)
	format func(T) string
	what   string
}

func (b *binding[T]) set(text string) error {
	v, err := b.parse(text)
	if err != nil {
		return err
	}
	*b.dst = v
	return nil
}

func (b *binding[T]) text() string { return b.format(*b.dst) }
func (b *binding[T]) kind() string { return b.what }

// bind defines a flag whose variable is dst, and sets that to its default.
func bind[T any](s *Set, dst *T, name string, def T, help, what string,
	parse func(string) (T, error), format func(T) string,
) *Flag {
	*dst = def
	return s.define(name, help, &binding[T]{dst, parse, format, what})
}

// String defines a flag that is any text.
func (s *Set) String(dst *string, name, def, help string) *Flag {
	return bind(s, dst, name, def, help, "TEXT", verbatim, same)
}

// Choice defines a flag that is one of a few words.
func (s *Set) Choice(dst *string, name, def string, words []string, help string) *Flag {
	parse := func(text string) (string, error) {
		if !slices.Contains(words, text) {
			return "", fmt.Errorf("want one of %s", strings.Join(words, ", "))
		}
		return text, nil
	}
	return bind(s, dst, name, def, help, strings.Join(words, "|"), parse, same)
}

// Strings defines a flag that is a list of words with commas between them.
// White space around a word is dropped, and so are empty words.
func (s *Set) Strings(dst *[]string, name string, def []string, help string) *Flag {
	parse := func(text string) ([]string, error) {
		var words []string
		for word := range strings.SplitSeq(text, ",") {
			if word = strings.TrimSpace(word); word != "" {
				words = append(words, word)
			}
		}
		return words, nil
	}
	return bind(s, dst, name, def, help, "TEXT,...", parse, func(v []string) string { return strings.Join(v, ",") })
}

// Bool defines a flag that is true or false, also written 1 and 0.
func (s *Set) Bool(dst *bool, name string, def bool, help string) *Flag {
	parse := func(text string) (bool, error) {
		switch text {
		case "true", "1":
			return true, nil
		case "false", "0":
			return false, nil
		}
		return false, errors.New("want true or false")
	}
	return bind(s, dst, name, def, help, "BOOL", parse, strconv.FormatBool)
}

// Int defines a flag that is a whole number.
func (s *Set) Int(dst *int, name string, def int, help string) *Flag {
	return bind(s, dst, name, def, help, "N", wholeNumber, strconv.Itoa)
}

// Count defines a flag that is a whole number, not below zero.
func (s *Set) Count(dst *int, name string, def int, help string) *Flag {
	parse := func(text string) (int, error) {
		n, err := wholeNumber(text)
		if err == nil && n < 0 {
			err = errors.New("want no number below 0")
		}
		return n, err
	}
	return bind(s, dst, name, def, help, "N", parse, strconv.Itoa)
}

func wholeNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, errors.New("want a whole number")
	}
	return n, nil
}

// Port defines a flag that is the number of a port; 0 asks for a free one.
func (s *Set) Port(dst *uint16, name string, def uint16, help string) *Flag {
	parse := func(text string) (uint16, error) {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return 0, errors.New("want a port, 0 to 65535")
		}
		return uint16(n), nil
	}
	return bind(s, dst, name, def, help, "PORT", parse, func(n uint16) string { return strconv.Itoa(int(n)) })
}

// Float defines a flag that is a finite number.
func (s *Set) Float(dst *float64, name string, def float64, help string) *Flag {
	parse := func(text string) (float64, error) {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n-n != 0 { // not for NaN and the infinities
			return 0, errors.New("want a number")
		}
		return n, nil
	}
	return bind(s, dst, name, def, help, "NUMBER", parse, func(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) })
}

// Duration defines a flag that is a length of time, such as "10secs".
func (s *Set) Duration(dst *time.Duration, name string, def time.Duration, help string) *Flag {
	return bind(s, dst, name, def, help, "DURATION", ParseDuration, FormatDuration)
}

// Bytes defines a flag that is an amount of bytes, such as "2GB".
func (s *Set) Bytes(dst *Bytes, name string, def Bytes, help string) *Flag {
	return bind(s, dst, name, def, help, "BYTES", ParseBytes, Bytes.String)
}

// Path defines a flag that names a file or a folder: "file://" is taken off,
// and the file is not read.
func (s *Set) Path(dst *string, name, def, help string) *Flag {
	parse := func(text string) (string, error) { return strings.TrimPrefix(text, fileScheme), nil }
	f := bind(s, dst, name, def, help, "PATH", parse, same)
	f.literal = true
	return f
}

// Func defines a flag that is read by parse, for text with a grammar of its
// own. The default, unless empty, must be fit for parse, and is given to it.
func (s *Set) Func(parse func(text string) error, name, def, what, help string) *Flag {
	v := &custom{parse: parse, given: def, what: what}
	if def != "" {
		if err := parse(def); err != nil {
			panic("flags: the default of --" + name + ": " + err.Error())
		}
	}
	return s.define(name, help, v)
}

// custom is the value of [Set.Func] and its like.
type custom struct {
	parse func(string) error
	given string // what to show
	what  string
}

func (c *custom) set(text string) error {
	c.given = text
	return c.parse(text)
}

func (c *custom) text() string { return c.given }
func (c *custom) kind() string { return c.what }

// JSON defines a flag without a default that is JSON text, read by decode. An
// absolute path stands for the file's content even without "file://".
func (s *Set) JSON(decode func(data []byte) error, name, help string) *Flag {
	v := &custom{what: "JSON"}
	v.parse = func(text string) error {
		if strings.HasPrefix(text, "/") {
			var err error
			if text, err = read(text); err != nil {
				return err
			}
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(text)); err != nil {
			return fmt.Errorf("want JSON: %w", err)
		}
		v.given = compact.String()
		return decode(compact.Bytes())
	}
	return s.define(name, help, v).Optional()
}

// Secret defines a flag without a default whose value, when it is a file's, is
// not shown: /flags has the file's path instead.
func (s *Set) Secret(dst *string, name, help string) *Flag {
	v := &custom{what: "TEXT|file://PATH"}
	v.parse = func(text string) error {
		content, err := resolve(text)
		v.given = strings.TrimPrefix(text, fileScheme)
		*dst = content
		return err
	}
	f := s.define(name, help, v).Optional()
	f.literal = true
	return f
}

func verbatim(text string) (string, error) { return text, nil }

func same(text string) string { return text }
