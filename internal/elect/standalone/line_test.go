package standalone

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnswersWithBodies: an answer is over when its body is, and the next on the
// same connection is understood. Time is virtual: to wait for more than there is
// would pass some.
func TestAnswersWithBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go func() {
			in := bufio.NewReader(theirs)
			for _, answer := range []string{
				"503 Service Unavailable\r\nContent-Length: 17\r\n\r\nNo leader elected",
				"307 Temporary Redirect\r\nLocation: //a:1\r\nContent-Length: 3\r\n\r\nabc",
				"307 Temporary Redirect\r\nLocation: //b:2\r\nContent-Length: 0\r\n\r\n",
				"307 Temporary Redirect\r\nLocation: //c:3\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 5000),
			} {
				for line := "-"; strings.TrimSpace(line) != ""; {
					line, _ = in.ReadString('\n')
				}
				_, _ = io.WriteString(theirs, "HTTP/1.1 "+answer) // the last one is not read to its end
			}
		}()
		l := &line{Conn: ours, in: bufio.NewReader(ours), host: "m:1"}
		begin := time.Now()
		for i, want := range []string{"", "a:1", "b:2"} {
			got, err := l.leader(t.Context())
			if got != want || (err == nil) != (want != "") {
				t.Errorf("answer %d: %q %v, want %q", i, got, err, want)
			}
		}
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("waited %v for nothing", waited)
		}
		if got, err := l.leader(t.Context()); err == nil || !strings.Contains(err.Error(), strconv.Itoa(5000)) {
			t.Errorf("a long answer: %q %v", got, err)
		}
		l.close()
	})
}
