package ids

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// UUID is a random (version 4) UUID of RFC 4122. On the wire Mesos sends its 16
// bytes; as part of an ID it is text.
type UUID [16]byte

// NewUUID draws a UUID from r.
func NewUUID(r *rand.Rand) UUID {
	var u UUID
	binary.LittleEndian.PutUint64(u[:8], r.Uint64())
	binary.LittleEndian.PutUint64(u[8:], r.Uint64())
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// String returns the text form, in lower case.
func (u UUID) String() string {
	var b [36]byte
	hex.Encode(b[:], u[:4])
	hex.Encode(b[9:], u[4:6])
	hex.Encode(b[14:], u[6:8])
	hex.Encode(b[19:], u[8:10])
	hex.Encode(b[24:], u[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}
