package operator

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/meseta-project/meseta/internal/client"
)

const apiPath = "/api/v1"

// Config says whom to talk to and how.
type Config struct {
	// Addresses are host:port or URLs: of any of the masters, which tell the
	// way to the leader, or of one agent.
	Addresses []string
	// Leader finds the leading master, in place of Addresses, at first and
	// whenever the one in use fails. It waits until one leads, or ctx is done.
	// Package leader has one for clusters that elect it in ZooKeeper or etcd.
	Leader func(ctx context.Context) (address string, err error)
	// JSON uses JSON on the wire in place of protocol buffers.
	JSON bool
	// Principal and Secret authenticate the operator (HTTP Basic).
	Principal, Secret string
	// Transport carries the requests; nil is one of the client's own.
	Transport http.RoundTripper
	// Log is told of lost connections; nil discards.
	Log *slog.Logger
}

// StatusError is an answer other than success: Status, the HTTP status, and
// Message.
type StatusError = client.Error

func (cfg Config) client() (*client.Client, error) {
	c, err := client.New(client.Config{
		Addresses: cfg.Addresses, Leader: cfg.Leader, Path: apiPath, JSON: cfg.JSON,
		Authorization: client.Basic(cfg.Principal, cfg.Secret), Transport: cfg.Transport,
	})
	if err != nil {
		return nil, fmt.Errorf("operator: %w", err)
	}
	return c, nil
}

func (cfg Config) logger() *slog.Logger {
	if cfg.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return cfg.Log
}
