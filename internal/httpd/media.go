// Package httpd is what every HTTP API of ours shares: which encoding a
// request and its answer have, the answers themselves, event streams, routes
// of libprocess's processes, files, metrics.
//
// Statuses, headers and texts are those of Apache Mesos. What a request means
// is decided elsewhere: refusals come as errors and leave through [Refuse].
package httpd

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/meseta-project/meseta/internal/wire"
)

// The headers of a stream's records, beside those of the stream.
const (
	MessageContentType = "Message-Content-Type"
	MessageAccept      = "Message-Accept"
	StreamID           = "Mesos-Stream-Id"
)

// accepts reports whether the named header of r allows a media type. A header
// that is absent allows all. The first range that fits decides, the most
// specific kind of range first; a quality of 0 refuses.
func accepts(r *http.Request, header, media string) bool {
	values := r.Header.Values(header)
	if len(values) == 0 {
		return true
	}
	kind, _, _ := strings.Cut(media, "/")
	return acceptable(values, media, kind+"/*", "*/*")
}

// acceptable reports whether the first of the candidates that a header names
// has a quality above 0.
func acceptable(values []string, candidates ...string) bool {
	offered := strings.Join(values, ",")
	for _, candidate := range candidates {
		for item := range strings.SplitSeq(offered, ",") {
			name, params, _ := strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(name), candidate) {
				return positive(params)
			}
		}
	}
	return false
}

// positive reports whether the parameters of a range give it no quality, or
// one above 0.
func positive(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, ok := strings.Cut(param, "=")
		if ok && strings.TrimSpace(name) == "q" {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return err == nil && q > 0
		}
	}
	return true
}

// ContentType returns the media type of a call's body, which is
// [wire.JSON] or [wire.Protobuf], or refuses the request with 400 or 415. As
// in Mesos the header's value is compared whole, without parameters.
func ContentType(r *http.Request) (string, error) {
	values := r.Header.Values("Content-Type")
	switch {
	case len(values) == 0:
		return "", status(http.StatusBadRequest, "Expecting 'Content-Type' to be present")
	case values[0] == wire.JSON || values[0] == wire.Protobuf:
		return values[0], nil
	}
	return "", status(http.StatusUnsupportedMediaType, "Expecting 'Content-Type' of "+wire.JSON+" or "+wire.Protobuf)
}

// Accept returns the media type of the answer to a call, JSON if the client
// takes it, or refuses the request with 406.
func Accept(r *http.Request) (string, error) {
	for _, media := range []string{wire.JSON, wire.Protobuf} {
		if accepts(r, "Accept", media) {
			return media, nil
		}
	}
	return "", status(http.StatusNotAcceptable, "Expecting 'Accept' to allow '"+wire.Protobuf+"' or '"+wire.JSON+"'")
}

// Media is what the agent's API agrees on for a call: the media type of the
// body and of the answer, and of their records where they are RecordIO
// ("" where they are not).
type Media struct {
	Content, MessageContent string
	Accept, MessageAccept   string
}

// AgentMedia returns the media types of a call on the agent's API, which may
// be streamed either way, or refuses the request with 400, 415 or 406.
func AgentMedia(r *http.Request) (Media, error) {
	var m Media
	if err := m.content(r); err != nil {
		return Media{}, err
	}
	if err := m.accept(r); err != nil {
		return Media{}, err
	}
	return m, nil
}

func (m *Media) content(r *http.Request) error {
	const jsonOrProtobuf = wire.JSON + " or " + wire.Protobuf
	m.Content = r.Header.Get("Content-Type")
	m.MessageContent = r.Header.Get(MessageContentType)
	_, present := r.Header["Content-Type"]
	_, message := r.Header[MessageContentType]
	switch {
	case !present:
		return status(http.StatusBadRequest, "Expecting 'Content-Type' to be present")
	case m.Content == wire.JSON || m.Content == wire.Protobuf:
		if message {
			return status(http.StatusUnsupportedMediaType, "Expecting '"+MessageContentType+"' to be not set for non-streaming requests")
		}
	case m.Content != wire.RecordIO:
		return status(http.StatusUnsupportedMediaType, "Expecting 'Content-Type' of "+jsonOrProtobuf+" or "+wire.RecordIO)
	case !message:
		return status(http.StatusBadRequest, "Expecting '"+MessageContentType+"' to be set for streaming requests")
	case m.MessageContent != wire.JSON && m.MessageContent != wire.Protobuf:
		return status(http.StatusUnsupportedMediaType, "Expecting '"+MessageContentType+"' of "+jsonOrProtobuf)
	}
	return nil
}

func (m *Media) accept(r *http.Request) error {
	const jsonOrProtobuf = wire.JSON + " or " + wire.Protobuf
	m.Accept = first(r, "Accept", wire.JSON, wire.Protobuf, wire.RecordIO)
	_, message := r.Header[MessageAccept]
	switch {
	case m.Accept == "":
		return status(http.StatusNotAcceptable, "Expecting 'Accept' to allow "+jsonOrProtobuf+" or "+wire.RecordIO)
	case m.Accept != wire.RecordIO && message:
		return status(http.StatusNotAcceptable, "Expecting '"+MessageAccept+"' to be not set for non-streaming responses")
	case m.Accept != wire.RecordIO:
		return nil
	}
	if m.MessageAccept = first(r, MessageAccept, wire.JSON, wire.Protobuf); m.MessageAccept == "" {
		return status(http.StatusNotAcceptable, "Expecting '"+MessageAccept+"' to allow "+jsonOrProtobuf)
	}
	return nil
}

// first returns the first of the media types that the named header allows.
func first(r *http.Request, header string, media ...string) string {
	for _, m := range media {
		if accepts(r, header, m) {
			return m
		}
	}
	return ""
}
