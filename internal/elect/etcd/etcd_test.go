package etcd

import (
	"log/slog"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/etcdserver/etcdtest"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/masterd/electtest"
	"github.com/meseta-project/meseta/internal/wire"
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
