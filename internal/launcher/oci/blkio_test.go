package oci

import (
	"fmt"
	"strings"
	"testing"
)

func TestBlkioStatistics(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{
			fmt.Sprint(parseThrottling("8:0 Read 3\n8:0 Write 4\n8:0 Total 7\n8:16 Read 1\nTotal 8\n", "8:0 Read 4096\nTotal 4096\n")),
			`throttling:{device:{major_number:8 minor_number:0} io_serviced:{op:READ value:3} io_serviced:{op:WRITE value:4} io_serviced:{op:TOTAL value:7} io_service_bytes:{op:READ value:4096}} ` +
				`throttling:{device:{major_number:8 minor_number:16} io_serviced:{op:READ value:1}} throttling:{io_serviced:{op:TOTAL value:8} io_service_bytes:{op:TOTAL value:4096}}`,
		},
		{
			fmt.Sprint(parseIOStat("254:0 rbytes=4096 wbytes=0 rios=1 wios=2 dbytes=5 dios=6\n")),
			`throttling:{device:{major_number:254 minor_number:0} io_serviced:{op:READ value:1} io_serviced:{op:WRITE value:2} io_serviced:{op:DISCARD value:6} ` +
				`io_service_bytes:{op:READ value:4096} io_service_bytes:{op:WRITE value:0} io_service_bytes:{op:DISCARD value:5}}`,
		},
	} {
		if got := strings.ReplaceAll(test.got, "  ", " "); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

func FuzzBlkio(f *testing.F) {
	f.Add("8:0 Read 3\nTotal 8\n", "254:0 rbytes=4096 wbytes=0\n")
	f.Fuzz(func(_ *testing.T, v1, v2 string) {
		parseThrottling(v1, v2)
		parseIOStat(v2)
	})
}
