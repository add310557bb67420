package zookeeper

import (
	"reflect"
	"testing"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]URL{
		"zk://a:1/mesos":            {Servers: []string{"a:1"}, Path: "/mesos"},
		" zk://a,b:2,10.0.0.1/m/n/": {Servers: []string{"a:2181", "b:2", "10.0.0.1:2181"}, Path: "/m/n"},
		"zk://u:p@a:1/x":            {Servers: []string{"a:1"}, User: "u", Password: "p", Path: "/x"},
		"zk://u:p@q:r@a:1/x":        {Servers: []string{"a:1"}, User: "u", Password: "p@q:r", Path: "/x"},
		"zk://[::1]:2182,[::2]/x":   {Servers: []string{"[::1]:2182", "[::2]:2181"}, Path: "/x"},
	} {
		if got, err := ParseURL(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "a:1/mesos", "zk://", "zk:///mesos", "zk://a:1", "zk://a:1/", "zk://a:0/x", "zk://a:x/x", "zk://a:1,/x",
		"zk://user@a:1/x", "zk://:p@a:1/x", "zk://a:1//x", "zk://a:1/x/../y", "zk://::1/x", "zk://a:1/x\x00",
	} {
		if got, err := ParseURL(text); err == nil {
			t.Errorf("%q is %+v, want a refusal", text, got)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"zk://u:p@a:1,b/mesos", "zk://[::1]:2/x/y/", "zk://@/", "zk://a:1//"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURL(text)
		if err != nil {
			return
		}
		if u.User != "" {
			return // what is shown has no password
		}
		again, err := ParseURL(u.String())
		if err != nil || !reflect.DeepEqual(again, u) {
			t.Errorf("%q is %+v, and what that shows is %+v, %v", text, u, again, err)
		}
	})
}

func TestLowest(t *testing.T) {
	for _, c := range []struct {
		children []string
		want     string
	}{
		{nil, ""},
		{[]string{"log_replicas", "registry", "json.info_x", "info_"}, ""},
		{[]string{"json.info_0000000003", "json.info_0000000002", "log_replicas"}, "json.info_0000000002"},
		{[]string{"json.info_0000000003", "info_0000000001", "0000000002"}, "info_0000000001"},
		{[]string{"json.info_0000000003", "json.info_-2147483647"}, "json.info_-2147483647"}, // after 2³¹ candidates
	} {
		got, ok := lowest(c.children)
		if got.name != c.want || ok != (c.want != "") {
			t.Errorf("of %v, %q leads, want %q", c.children, got.name, c.want)
		}
	}
}

func FuzzCandidate(f *testing.F) {
	f.Add("json.info_0000000001", []byte(`{"address":{"hostname":"h","ip":"127.0.0.1","port":5050},"id":"i","ip":16777343,"pid":"master@127.0.0.1:5050","port":5050}`))
	f.Add("info_0000000001", []byte("\n\x01i\x10\x01\x18\x02"))
	f.Add("0000000001", []byte("master@127.0.0.1:5050"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		c, ok := parseName(name)
		if !ok {
			return
		}
		info, err := c.decode(data)
		if err == nil && info.GetPid() == "" {
			t.Errorf("%q in %q is a master without an address", data, name)
		}
	})
}
