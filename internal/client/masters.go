package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// How masters are asked who leads.
const (
	answerTime = 3 * time.Second        // for one of them to answer
	stagger    = 250 * time.Millisecond // until the next is asked as well
	waitTime   = time.Minute            // for a standby to say nothing new
	askAgain   = 15 * time.Second       // when none of them does wait
)

// Masters are several of which one leads. Any number of goroutines may use them.
type Masters struct {
	servers []*url.URL
	http    *http.Client
}

// NewMasters returns the masters at addresses, as in [Config], at least one.
func NewMasters(addresses []string, transport http.RoundTripper) (*Masters, error) {
	m := &Masters{http: plain(transport)}
	for _, address := range addresses {
		server, err := parse(address)
		if err != nil {
			return nil, err
		}
		m.servers = append(m.servers, server)
	}
	return m, nil
}

// Find returns the master that leads and says so itself. The masters are asked
// one after the other, without waiting long for any: one may hang.
func (m *Masters) Find(ctx context.Context) (*url.URL, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		leader *url.URL
		err    error
	}
	answers := make(chan answer, len(m.servers))
	next := time.NewTimer(0)
	defer next.Stop()
	var failures []error
	for asked := 0; len(failures) < len(m.servers); {
		select {
		case <-next.C:
			if asked == len(m.servers) {
				continue
			}
			server := m.servers[asked]
			asked++
			go func() {
				leader, err := m.confirm(ctx, server)
				answers <- answer{leader, err}
			}()
			next.Reset(stagger)
		case a := <-answers:
			if a.err == nil {
				return a.leader, nil
			}
			failures = append(failures, a.err)
			next.Reset(0)
		}
	}
	return nil, errors.Join(failures...)
}

// confirm asks a master who leads, and that one whether it does.
func (m *Masters) confirm(ctx context.Context, server *url.URL) (*url.URL, error) {
	named, _, err := m.ask(ctx, server, "")
	if err != nil || named.Host == server.Host {
		return named, err
	}
	again, _, err := m.ask(ctx, named, "")
	if err == nil && again.Host != named.Host {
		err = fmt.Errorf("%s says that %s leads, which says that %s does", server.Host, named.Host, again.Host)
	}
	return named, err
}

// Watch returns nil when one of the masters says that another leads than the one
// at host:port, or the cause of ctx's end. Standbys of Meseta tell by themselves,
// so that this costs nobody anything; others are asked now and then.
func (m *Masters) Watch(ctx context.Context, leader string) error {
	at := rand.IntN(len(m.servers)) //nolint:forbidigo // so that each standby is asked by some
	for idle := 0; ; {
		if idle == len(m.servers) {
			idle = 0
			select {
			case <-time.After(askAgain):
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		server := m.servers[at]
		if server.Host != leader {
			named, waited, err := m.ask(ctx, server, leader)
			switch {
			case err == nil && named.Host != leader:
				return nil
			case waited:
				idle = 0
				continue
			}
		}
		at = (at + 1) % len(m.servers)
		idle++
	}
}

// ask asks a master who leads. With a leader that is known, host:port, it has
// the master wait with its answer until that is another, and says whether it
// did.
func (m *Masters) ask(ctx context.Context, server *url.URL, known string) (leader *url.URL, waited bool, err error) {
	patience := answerTime
	if known != "" {
		patience += waitTime
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.JoinPath("/redirect").String(), http.NoBody)
	if err != nil {
		return nil, false, err
	}
	if known != "" {
		request.Header.Set("Prefer", "wait="+strconv.Itoa(int(waitTime.Seconds())))
		request.Header.Set("If-None-Match", `"//`+known+`"`)
	}
	began := time.Now()
	answer, err := m.http.Do(request)
	if err != nil {
		return nil, false, unwrap(ctx, server, err)
	}
	waited = answer.Header.Get("Preference-Applied") == "wait" && time.Since(began) > stagger
	switch answer.StatusCode {
	case http.StatusTemporaryRedirect:
		leader, err = location(answer)
	case http.StatusServiceUnavailable:
		err = refusal(answer)
	default:
		answer.Body.Close()
		err = fmt.Errorf("%s does not tell who leads: it answered %s", server.Host, answer.Status)
	}
	return leader, waited, err
}

// location returns the master that an answer names as the leader. It may be
// relative to the protocol: //host:port/path.
func location(answer *http.Response) (*url.URL, error) {
	answer.Body.Close()
	leader, err := answer.Location()
	if err != nil {
		return nil, fmt.Errorf("%s names no leader to go to: %w", answer.Request.URL.Host, err)
	}
	if answer.Request.URL.Scheme == "https" && leader.Scheme != "https" {
		return nil, fmt.Errorf("%s sends us to %s, which is not encrypted", answer.Request.URL.Host, leader)
	}
	return &url.URL{Scheme: leader.Scheme, Host: leader.Host}, nil
}
