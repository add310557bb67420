package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/internal/wire"
)

const (
	// CallTimeout is how long a call may take, its answer included, when its
	// context says nothing shorter.
	CallTimeout = 30 * time.Second

	maxHops     = 5         // redirects followed for one request
	maxAnswer   = 512 << 20 // bytes of the answer to a call
	maxErrText  = 4 << 10   // bytes of an error's text
	connections = 64        // idle ones kept
)

// Config says whom to talk to and how.
type Config struct {
	// Addresses are tried in turn: host:port, or http:// and https:// URLs.
	Addresses []string
	// Leader finds the server to talk to, at first and whenever the one in use
	// fails, in place of Addresses; nil: those are used.
	Leader func(ctx context.Context) (address string, err error)
	// Path of the API, such as /api/v1/scheduler.
	Path string
	// JSON sends and asks for JSON in place of protocol buffers.
	JSON bool
	// Authorization is the header of that name; "" sends none.
	Authorization string
	// Transport carries the requests; nil is one of the client's own.
	Transport http.RoundTripper
}

// Basic returns the Authorization of a principal with a secret, or "" if there
// is no principal.
func Basic(principal, secret string) string {
	if principal == "" {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(principal+":"+secret))
}

// A Client posts to one API. Any number of goroutines may use it.
type Client struct {
	http    *http.Client
	path    string
	media   string
	auth    string
	servers []*url.URL
	leader  func(ctx context.Context) (address string, err error)

	mu     sync.Mutex
	server *url.URL // that answered last, or is to be tried next; nil: to be found
	turn   int      // index in servers of what is tried after it
}

// New returns a client. It is an error if there is no address, or one that
// nothing can be sent to.
func New(cfg Config) (*Client, error) {
	if len(cfg.Addresses) == 0 && cfg.Leader == nil {
		return nil, errors.New("no address to connect to")
	}
	c := &Client{path: cfg.Path, media: wire.Protobuf, auth: cfg.Authorization, leader: cfg.Leader}
	if cfg.JSON {
		c.media = wire.JSON
	}
	for _, address := range cfg.Addresses {
		server, err := parse(address)
		if err != nil {
			return nil, err
		}
		c.servers = append(c.servers, server)
	}
	transport := cfg.Transport
	if transport == nil {
		transport = NewTransport()
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	if c.leader == nil {
		c.server, c.turn = c.servers[0], 1
	}
	return c, nil
}

// NewTransport returns a transport that keeps enough connections for many calls
// at once and does not ask for compression.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, DisableCompression: true,
		MaxIdleConns: connections, MaxIdleConnsPerHost: connections, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
}

// parse reads an address: host:port or the URL of a server.
func parse(address string) (*url.URL, error) {
	text := address
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("address %q: %w", address, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("address %q: cannot connect by %s, only http and https", address, u.Scheme)
	case u.Host == "":
		return nil, fmt.Errorf("address %q names no host", address)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// Server returns the address, host:port, that requests go to at present; "" if
// the leader is yet to be found.
func (c *Client) Server() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil {
		return ""
	}
	return c.server.Host
}

// Do posts call, with more header fields (nil: none), and decodes the answer
// into response unless that is nil. An answer other than 2xx is an *Error.
// Without a shorter deadline it ends after CallTimeout.
func (c *Client) Do(ctx context.Context, call proto.Message, header http.Header, response proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	answer, err := c.post(ctx, call, header)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", answer.Request.URL.Host, err)
	}
	if response == nil || len(body) == 0 {
		return nil
	}
	return wire.Decode(answer.Header.Get("Content-Type"), body, response)
}

// post sends a call to the server that answered last, following the way to the
// leading master, and returns an answer that is a success. The other servers
// are tried when this one cannot be reached or has no leader.
func (c *Client) post(ctx context.Context, call proto.Message, header http.Header) (*http.Response, error) {
	body, err := wire.Encode(c.media, call)
	if err != nil {
		return nil, err
	}
	for tries, hops := 1, 0; ; {
		server, err := c.current(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := c.send(ctx, server, body, header)
		switch {
		case err != nil:
			c.next()
			if tries++; tries > c.tries() || !unreached(err) {
				return nil, err
			}
		case answer.StatusCode/100 == 2:
			return answer, nil
		case answer.StatusCode == http.StatusTemporaryRedirect && hops < maxHops:
			hops++
			if err := c.follow(answer); err != nil {
				return nil, err
			}
		default:
			refused := refusal(answer)
			if answer.StatusCode == http.StatusServiceUnavailable {
				c.next()
				if tries++; tries <= c.tries() {
					continue
				}
			}
			return nil, refused
		}
	}
}

func (c *Client) send(ctx context.Context, server *url.URL, body []byte, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.JoinPath(c.path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(request.Header, header)
	request.Close = header.Get("Connection") == "close" // net/http does not look there
	request.Header.Set("Content-Type", c.media)
	request.Header.Set("Accept", c.media)
	if c.auth != "" {
		request.Header.Set("Authorization", c.auth)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, unwrap(ctx, server, err)
	}
	return answer, nil
}

// unwrap gives a failed request the cause that its context ended for, and takes
// the URL out of the text.
func unwrap(ctx context.Context, server *url.URL, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	} else if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	return fmt.Errorf("%s: %w", server.Host, err)
}

// unreached says that a request surely has not arrived: nothing answers where
// it was sent.
func unreached(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "dial"
}

// tries is how often a call is sent.
func (c *Client) tries() int { return max(len(c.servers), 1) }

// current returns the server to talk to, finding the leader if need be.
func (c *Client) current(ctx context.Context) (*url.URL, error) {
	c.mu.Lock()
	server := c.server
	c.mu.Unlock()
	if server != nil {
		return server, nil
	}
	address, err := c.leader(ctx)
	if err != nil {
		return nil, err
	}
	if server, err = parse(address); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = server
	return server, nil
}

// next turns to the server after the one tried last, or has the leader be found
// again.
func (c *Client) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leader != nil {
		c.server = nil
		return
	}
	c.server = c.servers[c.turn%len(c.servers)]
	c.turn = (c.turn + 1) % len(c.servers)
}

// follow turns to the master that an answer names as the leader. Its location
// may be relative to the protocol: //host:port/path.
func (c *Client) follow(answer *http.Response) error {
	answer.Body.Close()
	leader, err := answer.Location()
	if err != nil {
		return fmt.Errorf("%s names no leader to go to: %w", answer.Request.URL.Host, err)
	}
	if answer.Request.URL.Scheme == "https" && leader.Scheme != "https" {
		return fmt.Errorf("%s sends us to %s, which is not encrypted", answer.Request.URL.Host, leader)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = &url.URL{Scheme: leader.Scheme, Host: leader.Host}
	return nil
}
