package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/recordio"
)

// ErrSilent ends a stream on which nothing has come for too long, not even a
// heartbeat.
var ErrSilent = errors.New("no heartbeat: the connection is taken for dead")

// A Stream is the events that answer a subscription. One goroutine reads it;
// any may close it.
type Stream struct {
	// Header of the answer.
	Header http.Header
	// Server that answered, as host:port.
	Server string

	ctx     context.Context //nolint:containedctx // it is the stream's own, whose end says why the stream ended
	cancel  context.CancelCauseFunc
	body    io.ReadCloser
	records *recordio.Reader
	silence time.Duration
	watch   *time.Timer
}

// Open posts a call and returns the stream that answers it. The stream ends
// with ctx, with ErrSilent when the answer or a record takes longer than
// silence, or with ErrMoved.
func (c *Client) Open(ctx context.Context, call proto.Message, header http.Header, silence time.Duration) (*Stream, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watch := time.AfterFunc(silence, func() { cancel(ErrSilent) })
	answer, err := c.open(ctx, cancel, call, header) //nolint:bodyclose // Close closes it
	if err != nil {
		watch.Stop()
		cancel(nil)
		return nil, err
	}
	return &Stream{
		Header: answer.Header, Server: answer.Request.URL.Host, ctx: ctx, cancel: cancel,
		body: answer.Body, records: recordio.NewReader(answer.Body, 0), silence: silence, watch: watch,
	}, nil
}

// open posts the call of a stream. Of several masters it is the one that leads
// now, as long as no other does.
func (c *Client) open(ctx context.Context, cancel context.CancelCauseFunc, call proto.Message, header http.Header) (*http.Response, error) {
	if c.masters != nil {
		leader, err := c.masters.Find(ctx)
		if err != nil {
			return nil, err
		}
		c.turn(leader)
		go c.attend(ctx, cancel, leader.Host)
	}
	return c.post(ctx, call, header)
}

// Expect says how long the stream may be silent from now on.
func (s *Stream) Expect(silence time.Duration) {
	s.silence = silence
	s.watch.Reset(silence)
}

// Next reads the next event. At the end of the stream it returns io.EOF.
func (s *Stream) Next(event proto.Message) error {
	record, err := s.records.Next()
	switch {
	case context.Cause(s.ctx) != nil:
		return fmt.Errorf("%s: %w", s.Server, context.Cause(s.ctx))
	case err == io.EOF: //nolint:errorlint // the reader returns it bare between records
		return err
	case err != nil:
		return fmt.Errorf("%s: %w", s.Server, err)
	}
	s.watch.Reset(s.silence)
	return wire.Decode(s.Header.Get("Content-Type"), record, event)
}

// Break ends the stream; a Next under way returns cause.
func (s *Stream) Break(cause error) {
	s.watch.Stop()
	s.cancel(cause)
}

// Close ends the stream and gives its connection up.
func (s *Stream) Close() {
	s.Break(nil)
	s.body.Close()
}

// Upload posts records, which may come one after the other for a long time, and
// returns when they were answered: nil for a success.
func (c *Client) Upload(ctx context.Context, records io.Reader) error {
	server, err := c.current(ctx)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.JoinPath(c.path).String(), records)
	if err != nil {
		return err
	}
	request.Close = true // an answer may come before our end, and the connection is of no use then
	request.Header.Set("Content-Type", wire.RecordIO)
	request.Header.Set("Message-Content-Type", c.media)
	request.Header.Set("Accept", c.media)
	if c.auth != "" {
		request.Header.Set("Authorization", c.auth)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return unwrap(ctx, server, err)
	}
	if answer.StatusCode/100 != 2 {
		return refusal(answer)
	}
	return answer.Body.Close()
}

// Encode returns a call as a record of [Client.Upload].
func (c *Client) Encode(call proto.Message) ([]byte, error) {
	payload, err := wire.Encode(c.media, call)
	if err != nil {
		return nil, err
	}
	return recordio.Append(nil, payload), nil
}
