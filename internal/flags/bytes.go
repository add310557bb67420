package flags

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Bytes is an amount of memory or disk.
type Bytes uint64

// The units of [Bytes], each 1024 times the one before.
const (
	Byte     Bytes = 1
	Kilobyte       = 1024 * Byte
	Megabyte       = 1024 * Kilobyte
	Gigabyte       = 1024 * Megabyte
	Terabyte       = 1024 * Gigabyte
)

// byteUnits are Mesos's units, the largest first.
var byteUnits = []struct {
	name string
	unit Bytes
}{{"TB", Terabyte}, {"GB", Gigabyte}, {"MB", Megabyte}, {"KB", Kilobyte}, {"B", Byte}}

// ParseBytes reads an amount as Mesos writes it: a whole number and a unit,
// one of B, KB, MB, GB and TB in either case, with nothing between them.
func ParseBytes(text string) (Bytes, error) {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	number, unit := text[:digits], strings.ToUpper(text[digits:])
	value, err := strconv.ParseUint(number, 10, 64)
	if err != nil || strings.HasPrefix(unit, ".") {
		return 0, fmt.Errorf("%q is no amount of bytes: want a whole number and a unit, such as 512MB", text)
	}
	for _, u := range byteUnits {
		if u.name != unit {
			continue
		}
		high, low := bits.Mul64(value, uint64(u.unit))
		if high != 0 {
			return 0, fmt.Errorf("%q is too much: the limit is 16777215TB", text)
		}
		return Bytes(low), nil
	}
	return 0, fmt.Errorf("%q has no unit of size: want one of B, KB, MB, GB, TB", text)
}

// String writes b as Mesos does: a whole number of the largest unit possible.
func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && b%u.unit == 0 {
			return strconv.FormatUint(uint64(b/u.unit), 10) + u.name
		}
	}
	return "0B"
}
