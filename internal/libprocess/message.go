// Package libprocess is the transport between masters, agents and the drivers
// of older frameworks: one-way messages between named processes, each an HTTP
// request to /<process>/<message>, pipelined on connections that are kept.
//
// A connection carries messages one way. Its receiver answers each with 202,
// which the sender does not wait for, and sends its own messages on a
// connection that it opens to the address in the sender's UPID. A link is such
// a connection, kept open so that its break tells that the peer is gone.
//
// [Server] receives, and hands connections that speak plain HTTP to a
// net/http server on the same port. [Links] sends.
package libprocess

import (
	"strconv"

	"github.com/meseta-project/meseta/internal/ids"
)

// AppendMessage appends to dst the request that carries a message, the bytes
// being those of Apache Mesos: headers in its order, the body in one chunk,
// and for an empty body neither a length nor a chunk.
func AppendMessage(dst []byte, to, from ids.UPID, name string, body []byte) []byte {
	dst = append(dst, "POST /"...)
	if process := to.Process(); process != "" {
		dst = append(dst, process...)
		dst = append(dst, '/')
	}
	dst = append(dst, name...)
	dst = append(dst, " HTTP/1.1\r\nUser-Agent: libprocess/"...)
	dst = append(dst, from...)
	dst = append(dst, "\r\nLibprocess-From: "...)
	dst = append(dst, from...)
	dst = append(dst, "\r\nConnection: Keep-Alive\r\nHost: "...)
	dst = append(dst, to.Address()...)
	if len(body) == 0 {
		return append(dst, "\r\n\r\n"...)
	}
	dst = append(dst, "\r\nTransfer-Encoding: chunked\r\n\r\n"...)
	dst = strconv.AppendInt(dst, int64(len(body)), 16)
	dst = append(dst, "\r\n"...)
	dst = append(dst, body...)
	return append(dst, "\r\n0\r\n\r\n"...)
}

// sendable reports whether s can stand in a request's first line or a header
// without ending it.
func sendable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
