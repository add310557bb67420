package leader

import (
	"context"
	"errors"
	"testing"

	"github.com/meseta-project/meseta/internal/etcdserver/etcdtest"
)

func TestNew(t *testing.T) {
	for _, text := range []string{"zk://a", "etcd://a:x/b", "", "host", "a:1,b", "a:0"} {
		if _, err := New(Config{Where: text}); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	for text, stored := range map[string]bool{"zk://a,b:1/mesos": true, "etcd://u:p@a/x": true, "a:1,master@10.0.0.1:5050": false} {
		if _, err := New(Config{Where: text}); err != nil || InStore(text) != stored {
			t.Errorf("%q: %v, in a store: %v", text, err, InStore(text))
		}
	}
}

func TestFind(t *testing.T) {
	server := etcdtest.Start(t)
	f, err := New(Config{Where: "etcd://" + server.Addr + "/meseta"})
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("it takes too long")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if at, err := f.Find(ctx); !errors.Is(err, gone) {
		t.Errorf("nobody leads, and found is %q, %v", at, err)
	}
}
