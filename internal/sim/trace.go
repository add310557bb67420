package sim

import (
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
	ring [kept]string
	next int
}

// note adds a line to the trace. Pings count, and are not kept: they would push
// out everything else.
func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf("%10.4f ", w.seconds()) + fmt.Sprintf(format, args...)
	w.trace.hash.Write([]byte(line))
	if !strings.Contains(line, "PongSlave") && !strings.Contains(line, "PingSlave, connected true") {
		w.trace.keep(line)
	}
}

func (t *trace) keep(line string) {
	t.ring[t.next%kept] = line
	t.next++
}

// lines returns the last lines, the oldest first.
func (t *trace) lines() []string {
	var out []string
	for i := max(0, t.next-kept); i < t.next; i++ {
		out = append(out, t.ring[i%kept])
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
	var b strings.Builder
	fmt.Fprintf(&b, "%10.4f       %s%s", h.w.seconds(), r.Message, h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	h.w.trace.keep(b.String())
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
