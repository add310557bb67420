package posix

import (
	"net"
	"os"
	"slices"
	"testing"
)

func TestListeners(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("%s: %v", address, err) // without IPv6
			continue
		}
		defer l.Close()
		port := uint16(l.Addr().(*net.TCPAddr).Port)
		all, err := LookForListeners()
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, p := range all {
			found = found || p == port
		}
		if !found {
			t.Errorf("port %d of %s is not among %v", port, address, all)
		}
		if got := all.Of(os.Getppid()); !slices.Contains(got, port) {
			t.Errorf("port %d is not among %v of the parent's children", port, got)
		}
	}
}

func FuzzListeners(f *testing.F) {
	f.Add("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 8031 1 0 100 0 0 10 0\n")
	f.Fuzz(func(t *testing.T, table string) {
		all := Listeners{}
		all.parse(table)
		if all[0] != 0 {
			t.Error("a socket without an inode")
		}
	})
}
