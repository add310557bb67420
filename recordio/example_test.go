package recordio_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/meseta-project/meseta/recordio"
)

func ExampleReader() {
	stream := strings.NewReader("20\n{\"type\":\"HEARTBEAT\"}6\nsecond")
	for record, err := range recordio.NewReader(stream, 1<<20).All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", record)
	}
	// Output:
	// {"type":"HEARTBEAT"}
	// second
}

func ExampleWriter() {
	w := recordio.NewWriter(os.Stdout)
	if err := w.WriteRecord([]byte(`{"type":"HEARTBEAT"}`)); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 20
	// {"type":"HEARTBEAT"}
}

func ExampleReader_limit() {
	_, err := recordio.NewReader(strings.NewReader("1000\n…"), 100).Next()
	fmt.Println(err)
	// Output:
	// recordio: record 1: record is too large: 1000 bytes, limit 100
}
