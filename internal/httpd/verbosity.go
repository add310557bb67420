package httpd

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/meseta-project/meseta/internal/refusal"
)

// Verbosity is how much more a server logs than it usually does: 0 is as usual,
// and anything above logs debug messages too. It is raised for a while
// (/logging/toggle, SET_LOGGING_LEVEL) and goes back by itself. Safe for
// concurrent use.
type Verbosity struct {
	mu    sync.Mutex
	level *slog.LevelVar
	usual slog.Level
	parse func(string) (time.Duration, error)
	now   uint32
	back  *time.Timer
}

// NewVerbosity returns the verbosity of loggers that obey level. Durations in
// requests are read by parse.
func NewVerbosity(level *slog.LevelVar, parse func(string) (time.Duration, error)) *Verbosity {
	return &Verbosity{level: level, usual: level.Level(), parse: parse}
}

// Get returns the present verbosity.
func (v *Verbosity) Get() uint32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Set changes the verbosity for as long as said.
func (v *Verbosity) Set(level uint32, long time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.back != nil {
		v.back.Stop()
		v.back = nil
	}
	v.change(level)
	if level != 0 {
		v.back = time.AfterFunc(long, func() { v.Set(0, 0) })
	}
}

func (v *Verbosity) change(level uint32) {
	v.now = level
	if level == 0 {
		v.level.Set(v.usual)
	} else {
		v.level.Set(min(slog.LevelDebug, v.usual))
	}
}

// ServeHTTP is /logging/toggle: it tells the verbosity, or sets it by level and
// duration.
func (v *Verbosity) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if !query.Has("level") && !query.Has("duration") {
		Text(w, http.StatusOK, strconv.FormatUint(uint64(v.Get()), 10)+"\n")
		return
	}
	level, d, err := v.toggle(query.Get("level"), query.Get("duration"))
	if err != nil {
		Refuse(w, err)
		return
	}
	v.Set(level, d)
	Empty(w, http.StatusOK)
}

func (v *Verbosity) toggle(level, duration string) (uint32, time.Duration, error) {
	switch {
	case level == "":
		return 0, 0, refusal.Invalidf("Expecting 'level=value' in query.\n")
	case duration == "":
		return 0, 0, refusal.Invalidf("Expecting 'duration=value' in query.\n")
	}
	n, err := strconv.ParseInt(level, 10, 32)
	switch {
	case err != nil:
		return 0, 0, refusal.Invalidf("Failed to convert '%s' to number.\n", level)
	case n < 0:
		return 0, 0, refusal.Invalidf("Invalid level '%s'.\n", level)
	}
	d, err := v.parse(duration)
	if err != nil {
		return 0, 0, refusal.Invalidf("%v.\n", err)
	}
	return uint32(n), d, nil
}
