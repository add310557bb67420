package cli

import (
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

func TestMode(t *testing.T) {
	for _, c := range []struct {
		flags haFlags
		want  string
	}{
		{haFlags{Mode: haNone}, haNone},
		{haFlags{Mode: haNone, ZK: "zk://a/b"}, haZooKeeper},
		{haFlags{Mode: haEtcd, Etcd: "etcd://a/b"}, haEtcd},
		{haFlags{Mode: haNone, Peers: "a:1,b:1"}, haEmbedded},
		{haFlags{Mode: haEtcd}, ""},
		{haFlags{Mode: haEtcd, ZK: "zk://a/b"}, ""},
		{haFlags{Mode: haNone, ZK: "zk://a/b", Peers: "a:1,b:1"}, ""},
	} {
		got, err := c.flags.mode()
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: %q, %v, want %q", c.flags, got, err, c.want)
		}
	}
}

func TestSelf(t *testing.T) {
	ip, name := "10.0.0.2", "m2"
	info := &mesos.MasterInfo{Hostname: &name, Address: &mesos.Address{Ip: &ip}}
	for text, want := range map[string]string{
		"10.0.0.1:5060,10.0.0.2:5060": "10.0.0.2:5060",
		"m1:5060,m2:5060":             "m2:5060",
		"m2:5060,m2:5061":             "",
		"m1:5060,m3:5060":             "",
	} {
		got, err := (&haFlags{}).self(strings.Split(text, ","), info)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestShown(t *testing.T) {
	got := shown(map[string]string{"zk": "zk://u:p@a:1,b:2/mesos", "etcd": "etcd://a:1/x", "master": "a:1,b:2", "docker_config": `{"auths": {}}`})
	for name, want := range map[string]string{"zk": "zk://u@a:1,b:2/mesos", "etcd": "etcd://a:1/x", "master": "a:1,b:2", "docker_config": "…"} {
		if got[name] != want {
			t.Errorf("%s shows as %q, want %q", name, got[name], want)
		}
	}
}
