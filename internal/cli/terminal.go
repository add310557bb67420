package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// tty is the terminal that a command was started on.
type tty struct {
	file *os.File
	was  unix.Termios
}

// terminalOf returns the terminal that in is, or nil if it is none.
func terminalOf(in io.Reader) *tty {
	file, ok := in.(*os.File)
	if !ok {
		return nil
	}
	was, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	if err != nil {
		return nil
	}
	return &tty{file, *was}
}

// raw has every key go to the reader as it is; restore undoes it.
func (t *tty) raw() error {
	raw := t.was
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(int(t.file.Fd()), unix.TCSETS, &raw)
}

func (t *tty) restore() { _ = unix.IoctlSetTermios(int(t.file.Fd()), unix.TCSETS, &t.was) }

// follow tells the size of the window now and whenever it changes, until ctx ends.
func (t *tty) follow(ctx context.Context, resize func(rows, columns uint32) error) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	defer signal.Stop(changed)
	for {
		if size, err := unix.IoctlGetWinsize(int(t.file.Fd()), unix.TIOCGWINSZ); err == nil {
			if resize(uint32(size.Row), uint32(size.Col)) != nil {
				return
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
