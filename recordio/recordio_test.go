package recordio_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/meseta-project/meseta/recordio"
)

func TestReadsWhatIsWritten(t *testing.T) {
	records := []string{"", "a", `{"type":"HEARTBEAT"}`, "with\nnewline", strings.Repeat("x", 200<<10), "\x00\xff"}
	var b bytes.Buffer
	w := recordio.NewWriter(&b)
	for _, r := range records {
		if err := w.WriteRecord([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range map[string]io.Reader{
		"whole":  bytes.NewReader(b.Bytes()),
		"halves": iotest.HalfReader(bytes.NewReader(b.Bytes())),
		"bytes":  iotest.OneByteReader(bytes.NewReader(b.Bytes())),
	} {
		i := 0
		for got, err := range recordio.NewReader(r, 0).All() {
			if err != nil || string(got) != records[i] {
				t.Fatalf("%s: record %d: %d bytes, %v", name, i, len(got), err)
			}
			i++
		}
		if i != len(records) {
			t.Errorf("%s: read %d records of %d", name, i, len(records))
		}
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		in   string
		is   error
		text string
	}{
		{"", io.EOF, "EOF"},
		{"2\nab", io.EOF, "EOF"},
		{"2", io.ErrUnexpectedEOF, "recordio: record 1: unexpected EOF"},
		{"2\n", io.ErrUnexpectedEOF, "recordio: record 1: unexpected EOF"},
		{"1\na3\nab", io.ErrUnexpectedEOF, "recordio: record 2: unexpected EOF"},
		{"\n", recordio.ErrLength, "recordio: record 1: malformed record length: empty line"},
		{"-1\n", recordio.ErrLength, `recordio: record 1: malformed record length: "-"`},
		{"+1\n", recordio.ErrLength, `recordio: record 1: malformed record length: "+"`},
		{"1 \na", recordio.ErrLength, `recordio: record 1: malformed record length: "1 "`},
		{"1\r\na", recordio.ErrLength, `recordio: record 1: malformed record length: "1\r"`},
		{"{\"type\"", recordio.ErrLength, `recordio: record 1: malformed record length: "{"`},
		{"11\n", recordio.ErrTooLarge, "recordio: record 1: record is too large: 11 bytes, limit 10"},
		{"99999999999999999999\n", recordio.ErrTooLarge, "recordio: record 1: record is too large: 99999999999999999999 bytes, limit 10"},
		{"000000000000000000001\na", recordio.ErrLength, `recordio: record 1: malformed record length: "000000000000000000001"`},
	} {
		var err error
		for r := recordio.NewReader(strings.NewReader(c.in), 10); err == nil; {
			_, err = r.Next()
		}
		if !errors.Is(err, c.is) || err.Error() != c.text {
			t.Errorf("%q: %v; want %s", c.in, err, c.text)
		}
	}
}

func TestErrorOfTheStreamIsKept(t *testing.T) {
	broken := errors.New("broken")
	r := recordio.NewReader(io.MultiReader(strings.NewReader("5\nab"), iotest.ErrReader(broken)), 0)
	if _, err := r.Next(); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestAllEndsWithTheError(t *testing.T) {
	var errs []error
	for _, err := range recordio.NewReader(strings.NewReader("1\na2\nb"), 0).All() {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], io.ErrUnexpectedEOF) {
		t.Errorf("%v", errs)
	}
}

// A record is one Write, so that it is one HTTP chunk.
func TestOneRecordIsOneWrite(t *testing.T) {
	var writes countingWriter
	w := recordio.NewWriter(&writes)
	for range 3 {
		if err := w.WriteRecord(make([]byte, 100<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if writes != 3 {
		t.Errorf("%d writes", writes)
	}
}

type countingWriter int

func (c *countingWriter) Write(p []byte) (int, error) { *c++; return len(p), nil }

// A length that is only claimed must cost no memory.
func TestClaimedLengthCostsNothing(t *testing.T) {
	claim := []byte("400000000\nx")
	r := testing.AllocsPerRun(10, func() {
		if _, err := recordio.NewReader(bytes.NewReader(claim), 0).Next(); err == nil {
			t.Fatal("no error")
		}
	})
	if r > 20 {
		t.Errorf("%v allocations", r)
	}
}

func FuzzReader(f *testing.F) {
	for _, seed := range []string{"", "0\n", "5\nhello0\n", "20\n{\"type\":\"HEARTBEAT\"}", "-1\n", "1", "18446744073709551616\nx", "3\nab"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var again []byte
		for payload, err := range recordio.NewReader(bytes.NewReader(in), 1<<20).All() {
			if err != nil {
				return
			}
			again = recordio.Append(again, payload)
		}
		var twice []byte
		for payload, err := range recordio.NewReader(bytes.NewReader(again), 1<<20).All() {
			if err != nil {
				t.Fatal(err)
			}
			twice = recordio.Append(twice, payload)
		}
		if !bytes.Equal(again, twice) {
			t.Errorf("%q reads back as %q", again, twice)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	one := recordio.Append(nil, bytes.Repeat([]byte("x"), 300))
	stream := bytes.Repeat(one, 1000)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range recordio.NewReader(bytes.NewReader(stream), 0).All() {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
