package image

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// mirror is a registry that has the images of another.
type mirror struct {
	of       string // the other, as registryKey has it
	host     string
	insecure bool // may be spoken to without TLS
}

// parseMirrors reads URLs of mirrors, of the registry of names without one or, as
// REGISTRY=URL, of another.
func parseMirrors(all []string, registry string) ([]mirror, error) {
	var out []mirror
	for _, text := range all {
		of, url, ok := strings.Cut(text, "=")
		if !ok {
			of, url = registry, text
		}
		host, insecure := defaultRegistry(url)
		if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
			return nil, fmt.Errorf("mirror %q: want a URL, or REGISTRY=URL", text)
		}
		if _, err := name.NewRegistry(strings.SplitN(host, "/", 2)[0]); err != nil || of == "" || host == "" {
			return nil, fmt.Errorf("mirror %q: want a URL with a host, or REGISTRY=URL", text)
		}
		out = append(out, mirror{registryKey(of), host, insecure})
	}
	return out, nil
}

// source is where an image may be had.
type source struct {
	name string // of the registry, or folder
	open func() (v1.Image, error)
}

// sources are where an image may be had, in the order in which they are asked: the
// mirrors, and what they are mirrors of.
func (s *Store) sources(ctx context.Context, ref reference, auth keychain) ([]source, error) {
	if filepath.IsAbs(s.cfg.Registry) {
		return []source{{s.cfg.Registry, func() (v1.Image, error) { return s.local(ref) }}}, nil
	}
	host, insecure := defaultRegistry(s.cfg.Registry)
	origin := registryKey(orElse(ref.registry, host))
	var out []source
	add := func(ref reference, host string, insecure bool) error {
		target, err := ref.resolve(host, insecure)
		if err != nil {
			return err
		}
		out = append(out, source{target.Context().RegistryStr(), func() (v1.Image, error) {
			return remote.Image(target,
				remote.WithContext(ctx), remote.WithTransport(s.cfg.Transport), remote.WithPlatform(platform()),
				remote.WithAuthFromKeychain(authn.NewMultiKeychain(auth, s.auth)))
		}})
		return nil
	}
	for _, m := range s.mirrors {
		if m.of != origin {
			continue
		}
		there := ref
		there.registry = ""
		if origin == "docker.io" && !strings.Contains(ref.repository, "/") {
			there.repository = "library/" + ref.repository
		}
		if err := add(there, m.host, m.insecure); err != nil {
			return nil, err
		}
	}
	return out, add(ref, host, insecure && ref.registry == "")
}

// pull gets an image, and what is missing of its layers, from the first source that
// has all of it.
func (s *Store) pull(ctx context.Context, ref reference, auth keychain, tell func(Progress)) (*Manifest, error) {
	all, err := s.sources(ctx, ref, auth)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, from := range all {
		m, err := s.pullFrom(ctx, from, ref, tell)
		if err == nil {
			return m, nil
		}
		if len(all) > 1 {
			err = fmt.Errorf("from %s: %w", from.name, err)
			s.log().Info("cannot pull an image from one of its registries", slog.String("image", ref.String()), slog.Any("error", err))
		}
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

func (s *Store) log() *slog.Logger {
	if s.cfg.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.cfg.Log
}
