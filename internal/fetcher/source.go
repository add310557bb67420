package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// source is one file to fetch, and what to do with it.
type source struct {
	URI        string
	Name       string // below the sandbox
	From       string // in the cache; "" to fetch the URI
	Extract    bool
	Executable bool
	Cache      bool
	Limit      int64 // bytes; 0: none
}

// parse checks a URI as Mesos does before anything is fetched.
func parse(uri *mesos.CommandInfo_URI, home string) (source, error) {
	value := uri.GetValue()
	if strings.ContainsAny(value, "\\'\x00") {
		return source{}, fmt.Errorf("URI %q contains illegal characters: a backslash, a quote or a NUL", value)
	}
	full, err := locate(value, home)
	if err != nil {
		return source{}, err
	}
	name := uri.GetOutputFile()
	if name == "" {
		name = path.Base(full)
	}
	if !filepath.IsLocal(name) {
		return source{}, fmt.Errorf("URI %q: the output file %q is not below the sandbox", value, name)
	}
	return source{
		URI: full, Name: name, Cache: uri.GetCache(), Executable: uri.GetExecutable(),
		Extract: uri.GetExtract() && !uri.GetExecutable(),
	}, nil
}

// locate returns the absolute URI of what was given as a URI, a path, or a path
// below home.
func locate(value, home string) (string, error) {
	if strings.HasPrefix(value, "/") {
		return "file://" + value, nil
	}
	scheme, rest, found := strings.Cut(value, "://")
	switch {
	case !found && home == "":
		return "", fmt.Errorf("URI %q is a relative path: it needs a scheme, or the agent's --frameworks_home", value)
	case !found:
		return "file://" + filepath.Join(home, value), nil
	case scheme == "file" && strings.HasPrefix(rest, "/"):
		return value, nil
	case scheme == "http" || scheme == "https":
		if u, err := url.Parse(value); err != nil || u.Host == "" || path.Base(u.Path) == "/" || u.Path == "" {
			return "", fmt.Errorf("URI %q names no file on a host", value)
		}
		return value, nil
	}
	return "", fmt.Errorf("URI %q cannot be fetched: use file://, http:// or https://", value)
}

// run fetches all items. The first failure ends it.
func (j *job) run(ctx context.Context, log io.Writer) error {
	root, err := os.OpenRoot(j.Sandbox)
	if err != nil {
		return fmt.Errorf("open the sandbox: %w", err)
	}
	defer root.Close()
	for i := range j.Items {
		if err := j.Items[i].fetch(ctx, root, j.StallTimeout, log); err != nil {
			return fmt.Errorf("fetch %q: %w", j.Items[i].URI, err)
		}
	}
	return nil
}

func (s *source) fetch(ctx context.Context, root *os.Root, stall time.Duration, log io.Writer) error {
	if s.From != "" && s.Extract && isArchive(s.URI) {
		return extract(root, s.From, s.URI, filepath.Dir(s.Name), log)
	}
	if err := s.save(ctx, root, stall); err != nil {
		return err
	}
	fmt.Fprintf(log, "Fetched '%s' to '%s'\n", s.URI, filepath.Join(root.Name(), s.Name))
	if !s.Extract {
		return nil
	}
	if !isArchive(s.URI) && !isArchive(s.Name) {
		return nil
	}
	archive := s.URI
	if !isArchive(archive) {
		archive = s.Name
	}
	return extractFrom(root, s.Name, archive, filepath.Dir(s.Name), log)
}

// save writes the file below root, replacing what is there.
func (s *source) save(ctx context.Context, root *os.Root, stall time.Duration) (err error) {
	in, err := s.open(ctx, stall)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := root.MkdirAll(filepath.Dir(s.Name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if s.Executable {
		mode = 0o755
	}
	if err := root.Remove(s.Name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	out, err := root.OpenFile(s.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := out.Chmod(mode); err != nil {
		return err
	}
	if s.Limit > 0 {
		in = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(in, s.Limit+1), in}
	}
	n, err := io.Copy(out, in)
	if s.Limit > 0 && n > s.Limit {
		return fmt.Errorf("%w: it has more than %d bytes", errNoRoom, s.Limit)
	}
	return err
}

// open returns the file's content.
func (s *source) open(ctx context.Context, stall time.Duration) (io.ReadCloser, error) {
	local, isFile := strings.CutPrefix(s.URI, "file://")
	if s.From != "" {
		local, isFile = s.From, true
	}
	if isFile {
		f, err := os.Open(local)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			f.Close()
			return nil, errors.Join(err, fmt.Errorf("%s is not a regular file", local))
		}
		return f, nil
	}
	return download(ctx, s.URI, stall)
}

// download returns the body of a GET, which fails when nothing comes for the
// time of stall.
func download(ctx context.Context, uri string, stall time.Duration) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(stall, func() { cancel(fmt.Errorf("nothing arrived for %v", stall)) })
	body := &watched{timer: timer, stall: stall, cancel: cancel, ctx: ctx}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, http.NoBody)
	if err != nil {
		body.stop()
		return nil, err
	}
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // by whoever closes the body returned
	if err != nil {
		defer body.stop()
		return nil, errors.Join(err, stalled(ctx))
	}
	body.in = response.Body
	if response.StatusCode != http.StatusOK {
		body.Close()
		return nil, fmt.Errorf("the server answered %s", response.Status)
	}
	return body, nil
}

func stalled(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// watched is a body whose reader gives up when it stalls.
type watched struct {
	in     io.ReadCloser
	timer  *time.Timer
	stall  time.Duration
	ctx    context.Context //nolint:containedctx // it is the body's own, and only tells why it ended
	cancel context.CancelCauseFunc
}

// Read reads and notes the headway.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.in.Read(p)
	w.timer.Reset(w.stall)
	if err != nil && !errors.Is(err, io.EOF) {
		err = errors.Join(err, stalled(w.ctx))
	}
	return n, err
}

// Close ends the transfer.
func (w *watched) Close() error {
	w.stop()
	return w.in.Close()
}

func (w *watched) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
