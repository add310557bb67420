package flags

import (
	"reflect"
	"testing"
)

func TestParseServers(t *testing.T) {
	for text, want := range map[string]Servers{
		"zk://a:1/mesos":            {Scheme: "zk", Addresses: []string{"a:1"}, Path: "/mesos"},
		" zk://a,b:2,10.0.0.1/m/n/": {Scheme: "zk", Addresses: []string{"a:2181", "b:2", "10.0.0.1:2181"}, Path: "/m/n"}, //nolint:gocritic // the space is what is tested
		"zk://u:p@a:1/x":            {Scheme: "zk", Addresses: []string{"a:1"}, User: "u", Password: "p", Path: "/x"},
		"zk://u:p@q:r@a:1/x":        {Scheme: "zk", Addresses: []string{"a:1"}, User: "u", Password: "p@q:r", Path: "/x"},
		"zk://[::1]:2182,[::2]/x":   {Scheme: "zk", Addresses: []string{"[::1]:2182", "[::2]:2181"}, Path: "/x"},
	} {
		if got, err := parseZK(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "a:1/mesos", "zk://", "zk:///mesos", "zk://a:1", "zk://a:1/", "zk://a:0/x", "zk://a:x/x", "zk://a:1,/x",
		"zk://user@a:1/x", "zk://:p@a:1/x", "zk://a:1//x", "zk://a:1/x/../y", "zk://::1/x", "zk://a:1/x\x00",
	} {
		if got, err := parseZK(text); err == nil {
			t.Errorf("%q is %+v, want a refusal", text, got)
		}
	}
}

func FuzzParseServers(f *testing.F) {
	for _, seed := range []string{"zk://u:p@a:1,b/mesos", "zk://[::1]:2/x/y/", "zk://@/", "zk://a:1//"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseZK(text)
		if err != nil {
			return
		}
		if u.User != "" {
			return // what is shown has no password
		}
		again, err := parseZK(u.String())
		if err != nil || !reflect.DeepEqual(again, u) {
			t.Errorf("%q is %+v, and what that shows is %+v, %v", text, u, again, err)
		}
	})
}

func parseZK(text string) (Servers, error) { return ParseServers(text, "zk", "2181") }
