package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// layer makes sure that a layer is unpacked.
func (s *Store) layer(ctx context.Context, digest string, layer v1.Layer, report func(int64)) error {
	// Its own flight: images that share layers may be pulled side by side.
	_, err := s.layers.do(ctx, digest, func(p Progress) { report(p.Bytes) }, func(ctx context.Context, tell func(Progress)) (struct{}, error) {
		if _, err := os.Lstat(s.layerPath(digest)); err == nil {
			return struct{}{}, nil
		}
		return struct{}{}, s.makeLayer(ctx, digest, layer, func(bytes int64) { tell(Progress{Bytes: bytes}) })
	})
	return err
}

// makeLayer unpacks in staging, and moves what is whole and right to its place.
func (s *Store) makeLayer(ctx context.Context, digest string, layer v1.Layer, report func(int64)) (err error) {
	temporary, err := os.MkdirTemp(s.path("staging"), "layer-")
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer func() { err = errors.Join(err, removeTree(temporary)) }()
	stream, err := layer.Uncompressed()
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	defer stream.Close()
	in := &measured{in: stream, ctx: ctx, hash: sha256.New(), left: s.cfg.Limits.LayerBytes, report: report}
	if err := unpack(temporary, in, s.cfg.Limits); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if got := hex.EncodeToString(in.hash.Sum(nil)); got != digest {
		return fmt.Errorf("its digest is sha256:%s, the image says sha256:%s", got, digest)
	}
	if err := syncFileSystem(temporary); err != nil {
		return fmt.Errorf("write to disk: %w", err)
	}
	if err := os.Rename(temporary, s.layerPath(digest)); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("move to its place: %w", err)
	}
	return nil
}

// syncFileSystem makes all files of a layer durable, which may be many: before
// its name is, or a crash could leave the name with nothing in it.
func syncFileSystem(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// reportEvery is how many bytes of a layer go by between two reports.
const reportEvery = 8 << 20

// measured reads a layer's tar file, digests and bounds it.
type measured struct {
	in     io.Reader
	ctx    context.Context //nolint:containedctx // it is the reader's life
	hash   hash.Hash
	left   int64
	sum    int64
	told   int64
	report func(int64)
}

// errTooLarge says that a layer exceeds the limits.
var errTooLarge = errors.New("the layer is larger than is allowed")

// Read implements io.Reader.
func (m *measured) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, context.Cause(m.ctx)
	}
	n, err := m.in.Read(p)
	m.hash.Write(p[:n])
	m.sum += int64(n)
	if m.left -= int64(n); m.left < 0 {
		return n, errTooLarge
	}
	if m.sum-m.told >= reportEvery || m.told == 0 && n > 0 {
		m.told = m.sum
		m.report(m.sum)
	}
	return n, err
}

// removeTree removes a folder, also one that holds folders which its owner may
// not write to.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return errors.Join(openTree(dir), os.RemoveAll(dir))
}
