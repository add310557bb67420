package journal

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/meseta-project/meseta/internal/registry"
)

// foldTime bounds a folding; the next write tries again.
const foldTime = 5 * time.Minute

// maybeFold folds the log in the background when it has grown. The lock is held.
func (s *Store) maybeFold() {
	long := s.head.Version-s.head.From >= foldAfter || s.logSize > max(foldBeyond, s.baseSize)
	if !long || s.folding || s.ctx.Err() != nil {
		return
	}
	s.folding = true
	upTo := s.head
	s.background.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, foldTime)
		defer cancel()
		err := s.fold(ctx, upTo)
		if err != nil && !errors.Is(err, registry.ErrConflict) && s.ctx.Err() == nil {
			s.log.Warn("cannot fold the registry's log", slog.Any("error", err))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.folding = false
	})
}

// fold makes a new base of all up to a head, and deletes what is not needed any
// more. Values are never changed once they are named, so this needs no lock
// until the new base is to count.
func (s *Store) fold(ctx context.Context, upTo head) error {
	records, base, log, err := s.read(ctx, upTo)
	if err != nil {
		return err
	}
	var puts []registry.Put
	for key, value := range records {
		puts = append(puts, registry.Put{Key: key, Value: value})
	}
	data := encode(puts)
	fresh, err := s.writeParts(ctx, upTo.Version, "b", data)
	if err != nil {
		return err
	}
	if err := s.rebase(ctx, upTo.Version, fresh); err != nil {
		return err
	}
	s.mu.Lock()
	s.logSize -= log
	s.baseSize = len(data)
	s.mu.Unlock()
	s.log.Debug("folded the registry's log", slog.Int("old_base_bytes", base), slog.Int("log_bytes", log), slog.Int("base_bytes", len(data)))
	return s.clean(ctx, upTo.Version, fresh)
}

func (s *Store) rebase(ctx context.Context, from uint64, base parts) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.head
	next.Format, next.Writer, next.Base, next.From = format, s.writer, base, from
	return s.commit(ctx, next, "", nil)
}

// clean deletes what no head names any more: everything of versions up to the
// base's, but for the base itself. What a leader after us writes has a later
// version, since the first thing that it does is to write.
func (s *Store) clean(ctx context.Context, upTo uint64, base parts) error {
	names, err := s.values.List(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		version, ok := versionOf(name)
		if !ok || version > upTo || strings.HasPrefix(name, base.Name+"-") {
			continue
		}
		if err := s.values.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// versionOf returns the version in the name of a log entry or part.
func versionOf(name string) (uint64, bool) {
	kind, rest, _ := strings.Cut(name, "-")
	if kind != "log" && kind != "part" {
		return 0, false
	}
	number, _, _ := strings.Cut(rest, "-")
	version, err := strconv.ParseUint(number, 10, 64)
	return version, err == nil
}
