package masterd

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/meseta-project/meseta/internal/master"
)

const (
	// whitelistInterval is how often the agent whitelist is read again.
	whitelistInterval = 5 * time.Second
	// whitelistMax is the largest whitelist, in bytes: a million host names.
	whitelistMax = 64 << 20
)

// A whitelist is a file that names the hosts, one a line, whose agents alone
// are offered.
type whitelist struct {
	path string
	text string
	read bool // text is what the file said last
}

// load returns the hosts in the file, and whether they are others than before.
// An empty file names none.
func (l *whitelist) load() (hosts map[string]bool, changed bool, err error) {
	f, err := os.Open(l.path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, whitelistMax+1))
	if err != nil {
		return nil, false, err
	}
	if len(data) > whitelistMax {
		return nil, false, fmt.Errorf("%s is larger than %d bytes", l.path, whitelistMax)
	}
	if l.read && l.text == string(data) {
		return nil, false, nil
	}
	l.text, l.read = string(data), true
	hosts = map[string]bool{}
	for line := range strings.Lines(l.text) {
		if host := strings.TrimSpace(line); host != "" {
			hosts[host] = true
		}
	}
	return hosts, true, nil
}

// update tells the core what the whitelist says, if that is new. While it
// cannot be read, what it said before stays: at first, that all are offered.
func (s *Server) update(l *whitelist, tell func(master.Input)) {
	hosts, changed, err := l.load()
	switch {
	case err != nil:
		s.log.Error("cannot read the agent whitelist; it is tried again", attr("path", l.path), attrErr(err))
	case changed:
		tell(master.Whitelist{Hosts: hosts})
	}
}

// watchWhitelist reads the whitelist again and again until ctx is done.
func (s *Server) watchWhitelist(ctx context.Context, l *whitelist) {
	tick := time.NewTicker(whitelistInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.update(l, s.tell)
		case <-ctx.Done():
			return
		}
	}
}
