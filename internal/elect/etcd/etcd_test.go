package etcd

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/meseta-project/meseta/internal/etcdserver/etcdtest"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/masterd/electtest"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/test/cluster"
)

func dialer(server *etcdtest.Server) flags.Servers {
	return flags.Servers{Scheme: "etcd", Addresses: []string{server.Addr}, Path: "/x"}
}

func elector(server *etcdtest.Server, prefix string) *Elector {
	return New(Config{
		Dial: Dialer(dialer(server)), Prefix: prefix, SessionTimeout: time.Second, Log: slog.New(slog.DiscardHandler),
	})
}

func TestConformance(t *testing.T) {
	server := etcdtest.Start(t)
	electtest.Run(t, func(t *testing.T) electtest.Group {
		return electtest.Group{
			Elector: func() electtest.Elector { return elector(server, "/"+t.Name()) },
			Cut: func(f func()) {
				server.Down()
				defer server.Up()
				f()
			},
		}
	})
}

// outside returns how a user finds a secured etcd of Debian's.
func outside(server *cluster.Etcd, user, password, prefix string) *Elector {
	at := flags.Servers{Scheme: "etcd", Addresses: []string{server.Addr}, User: user, Password: password, Path: prefix}
	return New(Config{Dial: Dialer(at), Prefix: prefix, SessionTimeout: time.Second, Log: slog.New(slog.DiscardHandler)})
}

// TestConformanceOutside is on an older etcd, as a user with no right that is not
// needed.
func TestConformanceOutside(t *testing.T) {
	server := etcdtest.Secured(t)
	electtest.Run(t, func(t *testing.T) electtest.Group {
		return electtest.Group{
			Elector: func() electtest.Elector {
				return outside(server, etcdtest.User, etcdtest.Password, "/meseta/"+t.Name())
			},
			Cut: func(f func()) {
				server.Kill9()
				defer server.Restart(t)
				f()
			},
		}
	})
}

// TestWrongCredentials stands for election without the right to it.
func TestWrongCredentials(t *testing.T) {
	server := etcdtest.Secured(t)
	reader := etcdtest.Stranger{Name: "may only read", User: etcdtest.Reader, Password: etcdtest.Password, Path: "/meseta/x"}
	for _, who := range append(etcdtest.Strangers("/meseta/x"), reader) {
		_, err := outside(server, who.User, who.Password, who.Path).Contend(t.Context(), electtest.Master(1))
		if err == nil || !strings.Contains(err.Error(), "etcd://user:password@") {
			t.Errorf("%s: got %v, want a refusal with a way out", who.Name, err)
		}
	}
	all, err := etcdtest.As(t, server.Addr, etcdtest.Root).Get(t.Context(), "/", clientv3.WithPrefix())
	if err != nil || len(all.Kvs) > 0 {
		t.Errorf("there is %v, %v, want nothing", all, err)
	}
}

// TestFull stands for election in an etcd that is full: it says so, and leads when
// there is room.
func TestFull(t *testing.T) {
	server := etcdtest.Secured(t, "--quota-backend-bytes=4194304")
	root := etcdtest.As(t, server.Addr, etcdtest.Root)
	etcdtest.Fill(t, root)
	e := outside(server, etcdtest.User, etcdtest.Password, "/meseta/x")
	said := make(full, 1)
	e.cfg.Log = slog.New(slog.NewTextHandler(said, nil))
	leads := make(chan error)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		lost, err := e.Contend(ctx, electtest.Master(1))
		leads <- err
		if err == nil {
			<-lost
		}
		close(leads)
	}()
	<-said
	etcdtest.Clear(t, server.Addr, root)
	if err := <-leads; err != nil {
		t.Error(err)
	}
	stop()
	<-leads
}

// full is a log that tells when it says that etcd is full.
type full chan struct{}

func (f full) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "etcd is full") {
		select {
		case f <- struct{}{}:
		default:
		}
	}
	return len(line), nil
}

// TestDeletedKey takes leadership away from a master by hand.
func TestDeletedKey(t *testing.T) {
	server := etcdtest.Start(t)
	e := elector(server, "/cluster")
	lost, err := e.Contend(t.Context(), electtest.Master(1))
	if err != nil {
		t.Fatal(err)
	}
	client, err := server.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	first, _, err := e.first(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Delete(t.Context(), string(first.Key)); err != nil {
		t.Fatal(err)
	}
	<-lost
}

// TestForeignKey has something lead that is no master.
func TestForeignKey(t *testing.T) {
	server := etcdtest.Start(t)
	e := elector(server, "/cluster")
	client, err := server.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, value := range []string{"", "{", "{}", `{"id":"x","ip":1,"port":2}`} {
		if _, err := client.Put(t.Context(), "/cluster/masters/first", value); err != nil {
			t.Fatal(err)
		}
		if leader, _, err := e.read(t.Context(), client); leader != nil || err != nil {
			t.Errorf("%q leads as %v, %v, want nobody", value, leader, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(wire.AppendSortedJSON(nil, electtest.Master(1)))
	f.Add([]byte(`{"id":"x","ip":1,"port":2,"pid":"master@127.0.0.1:1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := decode(data)
		if err == nil && info.GetPid() == "" {
			t.Errorf("%q is a master without an address", data)
		}
	})
}
