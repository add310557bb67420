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

	// slow is after how long a master is doubted that has not answered.
	slow = 2 * time.Second

	maxHops     = 5         // redirects followed for one request
	maxAnswer   = 512 << 20 // bytes of the answer to a call
	maxErrText  = 4 << 10   // bytes of an error's text
	connections = 64        // idle ones kept
)

// ErrMoved ends what was asked of a master in whose place another leads.
var ErrMoved = errors.New("another master leads")

// Config says whom to talk to and how.
type Config struct {
	// Addresses are host:port, or http:// and https:// URLs: of one server, or of
	// masters of which the one that leads is found.
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
	tries   int      // how often a call is sent
	only    *url.URL // nil: the leader is to be found, by one of
	leader  func(ctx context.Context) (address string, err error)
	masters *Masters

	mu     sync.Mutex
	server *url.URL // that answered last, or is to be tried next; nil: to be found
}

// New returns a client. It is an error if there is no address, or one that
// nothing can be sent to.
func New(cfg Config) (*Client, error) {
	if len(cfg.Addresses) == 0 && cfg.Leader == nil {
		return nil, errors.New("no address to connect to")
	}
	transport := cfg.Transport
	if transport == nil {
		transport = NewTransport()
	}
	c := &Client{
		http: plain(transport), path: cfg.Path, media: wire.Protobuf, auth: cfg.Authorization,
		tries: max(len(cfg.Addresses), 1), leader: cfg.Leader,
	}
	if cfg.JSON {
		c.media = wire.JSON
	}
	if c.leader != nil {
		return c, nil
	}
	masters, err := NewMasters(cfg.Addresses, transport)
	switch {
	case err != nil:
		return nil, err
	case len(masters.servers) == 1:
		c.only = masters.servers[0]
		c.server = c.only
	default:
		c.masters = masters
	}
	return c, nil
}

// plain returns a client that does not follow redirects by itself.
func plain(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
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
// Without a shorter deadline it ends after CallTimeout, or with ErrMoved.
func (c *Client) Do(ctx context.Context, call proto.Message, header http.Header, response proto.Message) error {
	ctx, timeout := context.WithTimeout(ctx, CallTimeout)
	defer timeout()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if c.masters != nil {
		late := time.AfterFunc(slow, func() { c.attend(ctx, cancel, c.Server()) })
		defer late.Stop()
	}
	answer, err := c.post(ctx, call, header)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer of %w", unwrap(ctx, answer.Request.URL, err))
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
			c.turn(nil)
			if tries++; tries > c.tries || !unreached(err) {
				return nil, err
			}
		case answer.StatusCode/100 == 2:
			return answer, nil
		case answer.StatusCode == http.StatusTemporaryRedirect && hops < maxHops:
			hops++
			leader, err := location(answer)
			if err != nil {
				return nil, err
			}
			c.turn(leader)
		default:
			refused := refusal(answer)
			if answer.StatusCode == http.StatusServiceUnavailable {
				c.turn(nil)
				if tries++; tries <= c.tries {
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

// current returns the server to talk to, finding the leader if need be.
func (c *Client) current(ctx context.Context) (*url.URL, error) {
	c.mu.Lock()
	server := c.server
	c.mu.Unlock()
	if server != nil {
		return server, nil
	}
	server, err := c.find(ctx)
	if err != nil {
		return nil, err
	}
	c.turn(server)
	return server, nil
}

func (c *Client) find(ctx context.Context) (*url.URL, error) {
	if c.masters != nil {
		return c.masters.Find(ctx)
	}
	address, err := c.leader(ctx)
	if err != nil {
		return nil, err
	}
	return parse(address)
}

// turn has what follows sent to a server; nil is the only one, or the leader
// when it is found again.
func (c *Client) turn(server *url.URL) {
	if server == nil {
		server = c.only
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = server
}

// attend ends a call's context when another master leads than the one that it
// was sent to, which may hang and never answer.
func (c *Client) attend(ctx context.Context, cancel context.CancelCauseFunc, server string) {
	if server != "" && c.masters.Watch(ctx, server) == nil {
		c.turn(nil)
		cancel(ErrMoved)
	}
}
