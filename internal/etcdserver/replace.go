package etcdserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// How members are asked about each other.
const (
	answerTime = time.Second
	maxAnswer  = 1 << 20 // bytes
)

// Replace gives the member at an address, whose files are lost, up, and lets
// another in that will start there with none. It is refused while the member
// answers. It does nothing when the other is expected already.
//
// A member without its files must not go on as the one it was: it has forgotten
// whom it voted for and what it has confirmed.
func (s *Server) Replace(ctx context.Context, peer string) error {
	if answers(ctx, peer) {
		return fmt.Errorf("%s answers: stop what runs there first, or leave the member as it is", peer)
	}
	client, err := s.Client()
	if err != nil {
		return err
	}
	defer client.Close()
	known, err := client.MemberList(ctx)
	if err != nil {
		return fmt.Errorf("list the members of the embedded etcd: %w", err)
	}
	at := "http://" + peer
	for _, m := range known.Members {
		switch {
		case !slices.Contains(m.PeerURLs, at):
			continue
		case m.Name == "": // let in before, and has not started yet
			return nil
		}
		if _, err := client.MemberRemove(ctx, m.ID); err != nil {
			return fmt.Errorf("take %s out of the embedded etcd: %w", peer, err)
		}
	}
	return admit(ctx, client, at)
}

// admit adds a member, when the others have been well for as long as etcd asks
// for, which is five seconds.
func admit(ctx context.Context, client *clientv3.Client, at string) error {
	for {
		_, err := client.MemberAdd(ctx, []string{at})
		if err == nil {
			return nil
		}
		if !errors.Is(err, rpctypes.ErrUnhealthy) || ctx.Err() != nil {
			return fmt.Errorf("let %s into the embedded etcd: %w", at, err)
		}
		pause, over := context.WithTimeout(ctx, answerTime/4)
		<-pause.Done()
		over()
	}
}

func answers(ctx context.Context, peer string) bool {
	dialer := net.Dialer{Timeout: answerTime}
	conn, err := dialer.DialContext(ctx, "tcp", peer)
	if err != nil {
		return false
	}
	_ = conn.Close() // that it could be opened is all
	return true
}

// errForgotten is what a member is told that the others know and that has no
// files.
var errForgotten = errors.New("the others know this member as one that has run, and its files are not here." +
	" If they are lost, restart one of the other masters with --replace_peer and this one's address, and then this one")

// state tells how a member without files begins: with all others, or as a new
// member of those that run.
func (cfg Config) state() (string, error) {
	for _, peer := range cfg.Peers {
		if peer == cfg.Self {
			continue
		}
		as, err := knownAs(peer, "http://"+cfg.Self)
		switch {
		case err != nil: // it may not have started yet
		case as.ran:
			return "", errForgotten
		case as.expected:
			return embed.ClusterStateFlagExisting, nil
		}
	}
	return embed.ClusterStateFlagNew, nil
}

// standing is what a member knows of another.
type standing struct{ ran, expected bool }

// knownAs asks a peer what it knows of the member with a URL.
func knownAs(peer, self string) (standing, error) {
	client := http.Client{Timeout: answerTime}
	answer, err := client.Get("http://" + peer + "/members") //nolint:noctx // at start, with nothing to cancel it
	if err != nil {
		return standing{}, err
	}
	defer answer.Body.Close()
	var members []struct {
		Name       string   `json:"name"`
		PeerURLs   []string `json:"peerURLs"`
		ClientURLs []string `json:"clientURLs"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&members); err != nil {
		return standing{}, err
	}
	for _, m := range members {
		if slices.Contains(m.PeerURLs, self) {
			return standing{ran: len(m.ClientURLs) > 0, expected: m.Name == ""}, nil
		}
	}
	return standing{}, nil
}
