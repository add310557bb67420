package cli

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/masterd"
	"github.com/meseta-project/meseta/internal/module"
	"github.com/meseta-project/meseta/internal/store/bolt"
	"github.com/meseta-project/meseta/internal/store/memory"
	"github.com/meseta-project/meseta/internal/version"
	"github.com/meseta-project/meseta/internal/wire"
)

// openMaster is a master that is ready to run, with what it has open.
type openMaster struct {
	*masterd.Server
	info    *mesos.MasterInfo
	backend *backend
	module  *module.Module // that decides the order, or nil
}

// open listens and opens what elects the leader and keeps the registry.
func (f *masterFlags) open(log *logs) (*openMaster, error) {
	authentication, err := f.authentication.load(log.Logger)
	if err != nil {
		return nil, err
	}
	listener, err := f.listen()
	if err != nil {
		return nil, err
	}
	at, err := f.advertised(listener)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	info := masterInfo(at, f.hostname(at.Addr()))
	info.Domain, f.Allocator.Domain = f.Domain, f.Domain
	backend, err := f.openBackend(info, log.Logger)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	policy, err := f.policy(log.Logger)
	if err != nil {
		return nil, errors.Join(err, listener.Close(), backend.close())
	}
	cfg := masterd.Config{
		Master: f.core(), Whitelist: f.whitelist(), Allocator: allocator.New(f.Allocator, newRand()),
		Info: info, Listener: listener, Elector: backend.elector, Store: backend.store,
		FetchTimeout: f.FetchTimeout, StoreTimeout: f.StoreTimeout,
		Cluster: f.Cluster, Flags: shown(f.Set.Values()), MaxSubscribers: f.MaxSubscribers, Seed: seed,
		Authentication: authentication,
		LogFile:        log.File, LogDir: log.Dir, ExternalLogFile: log.External, Verbosity: log.Verbosity, Log: log.Logger,
	}
	if policy != nil {
		cfg.Ranker = policy
	}
	return &openMaster{masterd.New(cfg), info, backend, policy}, nil
}

// run serves until ctx is done, and closes what is open.
func (m *openMaster) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := m.backend.watch(ctx); err != nil {
			cancel(err)
		}
	})
	err := m.Run(ctx)
	cancel(nil)
	watching.Wait()
	if m.module != nil {
		err = errors.Join(err, m.module.Close())
	}
	return errors.Join(err, m.backend.close())
}

func (f *masterFlags) openStore() (masterd.Store, error) {
	if f.Registry == "in_memory" {
		return &memory.Store{}, nil
	}
	if f.WorkDir == "" {
		return nil, errors.New("--work_dir is missing: name a folder that survives restarts, or use --registry=in_memory")
	}
	if err := os.MkdirAll(f.WorkDir, 0o755); err != nil {
		return nil, fmt.Errorf("make the --work_dir: %w", err)
	}
	return bolt.Open(filepath.Join(f.WorkDir, "registry.db"))
}

// masterInfo is what a master tells of itself. Its ID is new with each start.
func masterInfo(at netip.AddrPort, host string) *mesos.MasterInfo {
	id, mesosVersion := ids.NewUUID(newRand()).String(), version.Mesos
	info := wire.MasterAt(at, host)
	info.Id, info.Version = &id, &mesosVersion
	for _, c := range []mesos.MasterInfo_Capability_Type{
		mesos.MasterInfo_Capability_AGENT_UPDATE, mesos.MasterInfo_Capability_AGENT_DRAINING, mesos.MasterInfo_Capability_QUOTA_V2,
	} {
		info.Capabilities = append(info.Capabilities, &mesos.MasterInfo_Capability{Type: c.Enum()})
	}
	return info
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(seed(), seed())) }

// seed is where the randomness of every core begins.
func seed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}
