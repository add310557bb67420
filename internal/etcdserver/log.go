package etcdserver

import (
	"context"
	"log/slog"

	"go.uber.org/zap/zapcore"
)

// bridge logs what etcd does at levels that suit a part of a master: its
// warnings are about other members, and its information is for those who look
// for a fault.
type bridge struct{ log *slog.Logger }

func level(of zapcore.Level) slog.Level {
	switch {
	case of >= zapcore.ErrorLevel:
		return slog.LevelError
	case of == zapcore.WarnLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Enabled says whether entries of a level are logged.
func (b bridge) Enabled(l zapcore.Level) bool {
	return b.log.Enabled(context.Background(), level(l))
}

// With returns a bridge that adds fields to each entry.
func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{b.log.With(attrs(fields)...)}
}

// Check adds b to what writes an entry.
func (b bridge) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return to.AddCore(e, b)
	}
	return to
}

// Write logs an entry.
func (b bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	b.log.Log(context.Background(), level(e.Level), "embedded etcd", append(attrs(fields), slog.String("message", e.Message))...)
	return nil
}

// Sync does nothing: the log has no buffer.
func (bridge) Sync() error { return nil }

func attrs(fields []zapcore.Field) []any {
	to := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(to)
	}
	all := make([]any, 0, len(to.Fields))
	for key, value := range to.Fields {
		all = append(all, slog.Any(key, value))
	}
	return all
}
