package etcd

import (
	"log/slog"
	"testing"

	"github.com/meseta-project/meseta/internal/etcdserver/etcdtest"
	"github.com/meseta-project/meseta/internal/masterd/storetest"
)

func TestConformance(t *testing.T) {
	server := etcdtest.Start(t)
	storetest.RunShared(t, func(t *testing.T) func() storetest.Store {
		return func() storetest.Store {
			client, err := server.Client()
			if err != nil {
				t.Fatal(err)
			}
			return Open(client, "/"+t.Name()+"/registry", slog.New(slog.DiscardHandler))
		}
	})
}
