package posix

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meseta-project/meseta/internal/launcher"
)

// how says to the shim what its board is to do; see board.c.
func how(b *launcher.Board) string {
	if b == nil {
		return "-"
	}
	letters := []byte("-")
	for letter, set := range map[byte]bool{'t': b.Terminal, 'w': b.Held, 's': b.Socket != nil} {
		if set {
			letters = append(letters, letter)
		}
	}
	return fmt.Sprintf("%s,%d,%d,%d,%d", letters, b.Stdout.Max, b.Stdout.Keep, b.Stderr.Max, b.Stderr.Keep)
}

// ErrNoBoard says that a container has no board, or is over.
var ErrNoBoard = errors.New("nobody listens for those who attach")

// ErrCrowded says that a board has as many lines as it takes.
var ErrCrowded = errors.New("too many have attached already")

// boardFile is the name of the socket of a container's board.
const boardFile = "io"

// ListenBoard returns the socket of the board of a container that is to be
// started, in its folder.
func ListenBoard(dir string) (*os.File, error) {
	at, err := boardAddress(dir)
	if err != nil {
		return nil, err
	}
	defer at.dir.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	listener := os.NewFile(uintptr(fd), "board")
	_ = os.Remove(filepath.Join(dir, boardFile)) // of a start that failed
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: at.name})
	if err == nil {
		err = os.Chmod(filepath.Join(dir, boardFile), 0o600)
	}
	if err == nil {
		err = unix.Listen(fd, 64)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for those who attach: %w", err), listener.Close())
	}
	return listener, nil
}

// address is how a socket in a folder is named: the folder's own path may be longer
// than the name of a socket can be.
type address struct {
	dir  *os.File
	name string
}

func boardAddress(dir string) (address, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return address{}, err
	}
	return address{folder, fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), boardFile)}, nil
}

// Wants is what one who attaches to a container wants.
type Wants byte

// What can be wanted. Of those who want the output, an Owner has the container go no
// faster than he takes it; who is no owner is cut off when he does not keep up.
const (
	Output Wants = 'o'
	Owner  Wants = 'w'
	Input  Wants = 'i'
)

// Line is a connection to the board of a container. One goroutine may read from it
// while another writes.
type Line struct {
	Terminal bool // the container has a terminal

	conn   *net.UnixConn
	buffer [frameMax]byte
}

const (
	frameHead = 4
	frameMax  = 16 << 10
)

// welcomeTimeout bounds how long a board may take to notice that somebody is there.
const welcomeTimeout = 30 * time.Second

// DialBoard attaches to the container whose folder is dir.
func DialBoard(dir string, wants Wants) (*Line, error) {
	at, err := boardAddress(dir)
	if err != nil {
		return nil, ErrNoBoard
	}
	defer at.dir.Close()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: at.name, Net: "unix"})
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNoBoard
	}
	if err != nil {
		return nil, err
	}
	l := &Line{conn: conn}
	_ = conn.SetDeadline(time.Now().Add(welcomeTimeout)) // a socket has deadlines
	_, _ = conn.Write([]byte{byte(wants)})               // fails where there is no room, which was said before
	_, _ = io.ReadFull(conn, l.buffer[:1])               // what was not read says nothing
	switch l.Terminal = l.buffer[0] == 't'; {
	case l.Terminal, l.buffer[0] == 'p':
		return l, conn.SetDeadline(time.Time{})
	case l.buffer[0] == 'x':
		err = ErrCrowded
	default:
		err = ErrNoBoard // it ended meanwhile
	}
	return nil, errors.Join(err, conn.Close())
}

// Said is what a board says.
type Said byte

// What a board says.
const (
	Stdout Said = 'o'
	Stderr Said = 'e'
	Over   Said = 'z' // the container has ended, and all of its output was said
	Taken  Said = 'd' // all input was taken
	Failed Said = 'f' // the container takes no input any more
)

// Next returns what the board says next; the data are valid until the next call.
// When the line is cut, or the container ends while input is open, it fails.
func (l *Line) Next() (Said, []byte, error) {
	head := l.buffer[:frameHead]
	if _, err := io.ReadFull(l.conn, head); err != nil {
		return 0, nil, err
	}
	said, n := Said(head[0]), int(binary.BigEndian.Uint16(head[2:]))
	if n > frameMax || strings.IndexByte("oezdf", byte(said)) < 0 {
		return 0, nil, fmt.Errorf("the board says %q", head)
	}
	_, err := io.ReadFull(l.conn, l.buffer[:n])
	return said, l.buffer[:n], err
}

// Write gives input to the container.
func (l *Line) Write(data []byte) (int, error) {
	for sent := 0; ; {
		part := data[sent:min(sent+frameMax, len(data))]
		if len(part) == 0 {
			return sent, nil
		}
		if err := l.send('d', part); err != nil {
			return sent, err
		}
		sent += len(part)
	}
}

// Resize sets the size of the terminal.
func (l *Line) Resize(rows, columns uint16) error {
	return l.send('s', binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, rows), columns))
}

// CloseInput closes the container's standard input, if it is no terminal.
func (l *Line) CloseInput() error { return l.send('c', nil) }

// Finish says that no more is given by this line. The board answers Taken.
func (l *Line) Finish() error { return l.conn.CloseWrite() }

func (l *Line) send(letter byte, data []byte) error {
	frame := make([]byte, frameHead, frameHead+len(data))
	frame[0] = letter
	binary.BigEndian.PutUint16(frame[2:], uint16(len(data)))
	_, err := l.conn.Write(append(frame, data...))
	return err
}

// Close ends the line.
func (l *Line) Close() error { return l.conn.Close() }
