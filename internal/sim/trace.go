package sim

import (
	"bytes"
	"context"
	"fmt"
	"hash"
	"log/slog"
	"strings"
)

// kept is how many of the last events are kept for readers.
const kept = 1000

// A trace is what happened, one line per event: the last lines as text, all of
// them as a hash.
type trace struct {
	hash hash.Hash64
	ring [kept][]byte // whose room is used again
	next int
	line []byte
}

// note adds a line to the trace. Pings count, and are not kept: they would push
// out everything else.
func (w *world) note(format string, args ...any) {
	t := &w.trace
	t.line = fmt.Appendf(t.line[:0], "%10.4f ", w.seconds())
	t.line = fmt.Appendf(t.line, format, args...)
	t.hash.Write(t.line)
	if !bytes.Contains(t.line, pong) && !bytes.Contains(t.line, ping) {
		t.keep(t.line)
	}
}

var pong, ping = []byte("PongSlave"), []byte("PingSlave, connected true")

func (t *trace) keep(line []byte) {
	t.ring[t.next%kept] = append(t.ring[t.next%kept][:0], line...)
	t.next++
}

// lines returns the last lines, the oldest first.
func (t *trace) lines() []string {
	var out []string
	for i := max(0, t.next-kept); i < t.next; i++ {
		out = append(out, string(t.ring[i%kept]))
	}
	return out
}

func (t *trace) text() string { return strings.Join(t.lines(), "\n") }

// A traceHandler puts the cores' logs among the events. They do not count for
// the hash: whether somebody reads along changes nothing.
type traceHandler struct {
	w     *world
	attrs string
}

// Enabled implements [slog.Handler].
func (h *traceHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements [slog.Handler].
func (h *traceHandler) Handle(_ context.Context, r slog.Record) error {
	line := fmt.Appendf(nil, "%10.4f       %s%s", h.w.seconds(), r.Message, h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		line = fmt.Appendf(line, " %s=%v", a.Key, a.Value)
		return true
	})
	h.w.trace.keep(line)
	return nil
}

// WithAttrs implements [slog.Handler].
func (h *traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
	}
	return &traceHandler{h.w, h.attrs + b.String()}
}

// WithGroup implements [slog.Handler].
func (h *traceHandler) WithGroup(string) slog.Handler { return h }
