package module

import (
	"context"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// logger has what go-plugin logs, the module's standard error among it, in the
// master's log.
type logger struct {
	hclog.Logger // that answers what nobody asks
	log          *slog.Logger
	name         string
}

func newLogger(to *slog.Logger) hclog.Logger {
	return &logger{Logger: hclog.NewNullLogger(), log: to.With(slog.String("component", "allocation module"))}
}

// Log writes a line. The process's comings and goings are of interest to those
// who look for faults only, but what it says itself is not.
func (l *logger) Log(level hclog.Level, message string, args ...any) {
	to := slog.LevelDebug
	switch {
	case level >= hclog.Error:
		to = slog.LevelError
	case level == hclog.Warn:
		to = slog.LevelWarn
	case l.name != "" && level >= hclog.Debug:
		to = slog.LevelInfo // a line of the module's own
	}
	l.log.Log(context.Background(), to, message, args...) //nolint:sloglint // the message is another's
}

func (l *logger) Trace(message string, args ...any) { l.Log(hclog.Trace, message, args...) }
func (l *logger) Debug(message string, args ...any) { l.Log(hclog.Debug, message, args...) }
func (l *logger) Info(message string, args ...any)  { l.Log(hclog.Info, message, args...) }
func (l *logger) Warn(message string, args ...any)  { l.Log(hclog.Warn, message, args...) }
func (l *logger) Error(message string, args ...any) { l.Log(hclog.Error, message, args...) }

// Named is for what the process with the name writes.
func (l *logger) Named(name string) hclog.Logger {
	return &logger{Logger: l.Logger, log: l.log, name: name}
}

func (l *logger) With(args ...any) hclog.Logger {
	return &logger{Logger: l.Logger, log: l.log.With(args...), name: l.name}
}

func (l *logger) Name() string { return l.name }

func (l *logger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger { //nolint:forbidigo // the interface wants one
	return log.New(io.Discard, "", 0) //nolint:forbidigo // the interface wants one
}
