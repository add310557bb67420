// Package fetcher brings files into sandboxes: from the agent's disk, from HTTP
// servers, unpacked or not, through a cache or not.
//
// A file is fetched with the rights of the user whose task asked for it, and
// nothing that is fetched, be it an archive made to harm, reaches a place
// outside the sandbox: all writing goes through an [os.Root]. When the user is
// not the agent's own, the work is done by a process of that user: the binary
// itself, started as Config.Helper and taken to [Main].
package fetcher

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Config is how an agent fetches.
type Config struct {
	CacheDir string // --fetcher_cache_dir
	// CacheSize bounds the cache, in bytes (--fetcher_cache_size). What does not
	// fit is fetched as if no caching had been asked for.
	CacheSize int64
	// StallTimeout ends a download that makes no headway (--fetcher_stall_timeout).
	StallTimeout time.Duration
	// Home is where relative paths begin (--frameworks_home); "" refuses them.
	Home string
	// Helper is the command line that leads to Main in a process of its own.
	Helper []string
}

// Fetcher fetches for all containers of an agent. It is safe for concurrent use.
type Fetcher struct {
	cfg   Config
	cache *cache

	succeeded, failed atomic.Int64
}

// Statistics is what a fetcher has done so far.
type Statistics struct {
	Succeeded, Failed    int64 // for how many containers all, or not all, was fetched
	CacheSize, CacheUsed int64 // bytes
}

// Statistics returns what the fetcher has done so far.
func (f *Fetcher) Statistics() Statistics {
	return Statistics{
		Succeeded: f.succeeded.Load(), Failed: f.failed.Load(), CacheSize: f.cfg.CacheSize, CacheUsed: f.cache.inUse(),
	}
}

// New returns a fetcher with an empty cache: what an earlier life left in the
// cache's folder is deleted when something is cached.
func New(cfg Config) *Fetcher {
	return &Fetcher{cfg: cfg, cache: newCache(cfg.CacheDir, cfg.CacheSize)}
}

// job is what one process has to do: a list of copies, in order.
type job struct {
	Sandbox      string
	StallTimeout time.Duration
	Items        []source
}

// Fetch brings the URIs into the sandbox. user "" is the agent's own. What there
// is to tell goes to log, line by line; the error tells which URI failed, and why.
func (f *Fetcher) Fetch(ctx context.Context, sandbox, user string, uris []*mesos.CommandInfo_URI, log io.Writer) error {
	err := f.fetch(ctx, sandbox, user, uris, log)
	switch {
	case err != nil:
		f.failed.Add(1)
	case len(uris) > 0:
		f.succeeded.Add(1)
	}
	return err
}

func (f *Fetcher) fetch(ctx context.Context, sandbox, user string, uris []*mesos.CommandInfo_URI, log io.Writer) error {
	items := make([]source, 0, len(uris))
	for _, uri := range uris {
		item, err := parse(uri, f.cfg.Home)
		if err != nil {
			return err
		}
		items = append(items, item)
	}
	for i := range items {
		if !items[i].Cache {
			continue
		}
		release, err := f.cached(ctx, user, &items[i], log)
		if err != nil {
			return err
		}
		defer release()
	}
	return f.run(ctx, user, &job{Sandbox: sandbox, StallTimeout: f.cfg.StallTimeout, Items: items}, log)
}

// cached makes the item come from the cache, filling that first if need be.
// The entry stays until release is called.
func (f *Fetcher) cached(ctx context.Context, user string, item *source, log io.Writer) (release func(), err error) {
	entry, fill, err := f.cache.acquire(ctx, user, item.URI)
	if noRoom(err) { // as another has found out
		fmt.Fprintf(log, "Fetching '%s' without the cache: %v\n", item.URI, err)
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	if fill {
		err := f.run(ctx, user, &job{
			Sandbox: entry.dir, StallTimeout: f.cfg.StallTimeout,
			Items: []source{{URI: item.URI, Name: "file", Limit: f.cfg.CacheSize}},
		}, log)
		if err := f.cache.filled(entry, err); noRoom(err) {
			fmt.Fprintf(log, "Fetching '%s' without the cache: %v\n", item.URI, err)
			return func() {}, nil
		} else if err != nil {
			return nil, err
		}
	}
	item.From = entry.path()
	return func() { f.cache.release(entry) }, nil
}

// noRoom says that a file is too large for the cache. A helper tells it in words.
func noRoom(err error) bool { return err != nil && strings.Contains(err.Error(), errNoRoom.Error()) }

// run does a job, in a process of the user's if that is not ours.
func (f *Fetcher) run(ctx context.Context, name string, j *job, log io.Writer) error {
	who, err := credential(name)
	if err != nil {
		return err
	}
	if who == nil {
		return j.run(ctx, log)
	}
	text, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("describe what to fetch: %w", err)
	}
	var failure bytes.Buffer
	cmd := exec.CommandContext(ctx, f.cfg.Helper[0], f.cfg.Helper[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), &failure, log
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("fetch as user %q: %s: %w", name, strings.TrimSpace(failure.String()), err)
	}
	return nil
}

// Main is the life of the process that Helper starts: it reads its job from
// stdin, does it, and tells why it failed on stdout. It returns the exit status.
func Main(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) int {
	var j job
	err := json.NewDecoder(stdin).Decode(&j)
	if err == nil {
		err = j.run(ctx, stderr)
	}
	if err != nil {
		fmt.Fprintln(stdout, err)
		return 1
	}
	return 0
}

// credential returns whom to become, or nil to stay who we are.
func credential(name string) (*syscall.Credential, error) {
	if name == "" {
		return nil, nil
	}
	account, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("look up user %q: %w", name, err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil || int(uid) == os.Getuid() {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}
