package cluster

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxRecord bounds a record that a broken server might announce.
const maxRecord = 64 << 20

// ReadRecord reads one RecordIO record: a decimal length, a newline, the bytes.
func ReadRecord(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	length, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
	if err != nil || length < 0 || length > maxRecord {
		return nil, fmt.Errorf("record length %q", line)
	}
	record := make([]byte, length)
	_, err = io.ReadFull(r, record)
	return record, err
}
