package module

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/meseta-project/meseta/allocation"
	pb "github.com/meseta-project/meseta/api/meseta/allocation/v1"
)

// Version is that of the protocol between masters and modules. A master refuses
// a module that speaks another one.
const Version = 1

const (
	service = "meseta.allocation.v1.Ranker"
	rank    = "/" + service + "/Rank"

	// orphaned is how often a module looks whether its master is there.
	orphaned = time.Second
)

// Handshake is by which master and module know each other.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{
		ProtocolVersion: Version, MagicCookieKey: "MESETA_ALLOCATION_MODULE", MagicCookieValue: "ranker",
	}
}

// Name is under which a module serves its policy.
const Name = "ranker"

// Serve serves the policy to the master that has started this process, and
// returns when it is told to end. Started by anybody else, it says so and exits
// with status 1.
func Serve(p allocation.Policy) {
	parent := os.Getppid()
	go func() {
		for os.Getppid() == parent {
			time.Sleep(orphaned)
		}
		os.Exit(0) // the master is gone, and another will start its own
	}()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: Handshake(),
		Plugins:         plugin.PluginSet{Name: &Plugin{Policy: p}},
		GRPCServer:      plugin.DefaultGRPCServer,
	})
}

// Plugin is both ends of the connection: the module's serves Policy, the
// master's dispenses a *[Client].
type Plugin struct {
	plugin.NetRPCUnsupportedPlugin
	Policy allocation.Policy
}

// GRPCServer registers the policy with a module's server.
func (p *Plugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&description, &server{policy: p.Policy})
	return nil
}

// GRPCClient returns the master's end.
func (*Plugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return &Client{c}, nil
}

// A Client asks a module.
type Client struct{ conn *grpc.ClientConn }

// Rank asks for the order that a demand asks for.
func (c *Client) Rank(ctx context.Context, d allocation.Demand) (allocation.Ranking, error) {
	response := &pb.RankResponse{}
	if err := c.conn.Invoke(ctx, rank, &pb.RankRequest{Demand: demandToProto(d)}, response); err != nil {
		return allocation.Ranking{}, fmt.Errorf("ask the allocation module: %w", err)
	}
	return ranking(response.GetRanking()), nil
}

// server has a policy asked by one goroutine at a time.
type server struct {
	mu     sync.Mutex
	policy allocation.Policy
}

func (s *server) rank(_ context.Context, request *pb.RankRequest) (*pb.RankResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.policy.Rank(demand(request.GetDemand()))
	if err != nil {
		return nil, err
	}
	return &pb.RankResponse{Ranking: rankingToProto(r)}, nil
}

// description is the service Ranker of allocation.proto.
var description = grpc.ServiceDesc{
	ServiceName: service,
	HandlerType: (*any)(nil),
	Metadata:    "meseta/allocation/v1/allocation.proto",
	Methods:     []grpc.MethodDesc{{MethodName: "Rank", Handler: handleRank}},
}

//nolint:revive // gRPC wants the arguments in this order
func handleRank(s any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	request := &pb.RankRequest{}
	if err := decode(request); err != nil {
		return nil, err
	}
	if intercept == nil {
		return s.(*server).rank(ctx, request)
	}
	return intercept(ctx, request, &grpc.UnaryServerInfo{Server: s, FullMethod: rank}, func(ctx context.Context, request any) (any, error) {
		return s.(*server).rank(ctx, request.(*pb.RankRequest))
	})
}
