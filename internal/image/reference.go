package image

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// reference is an image's name, as Mesos reads them:
// [registry/]repository[:tag][@digest].
type reference struct {
	registry, repository, tag, digest string
}

// referenceMax is longer than any name that a registry takes.
const referenceMax = 1024

func parseReference(text string) (reference, error) {
	var r reference
	if text == "" || len(text) > referenceMax {
		return r, fmt.Errorf("image name of %d bytes: give [registry/]repository[:tag|@digest]", len(text))
	}
	rest, digest, digested := strings.Cut(text, "@")
	if digested && (digest == "" || strings.Contains(digest, "@")) {
		return r, fmt.Errorf("image name %q: a name has one @, with a digest behind it", text)
	}
	r.digest = digest
	if at := strings.LastIndex(rest, ":"); at >= 0 && !strings.Contains(rest[at:], "/") {
		rest, r.tag = rest[:at], rest[at+1:]
		if r.tag == "" {
			return r, fmt.Errorf("image name %q: there is no tag behind the colon", text)
		}
	}
	r.repository = rest
	if first, others, ok := strings.Cut(rest, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		r.registry, r.repository = first, others
	}
	// The library knows what names registries take.
	if _, err := r.resolve("index.docker.io", false); err != nil {
		return r, fmt.Errorf("image name %q: %w", text, err)
	}
	return r, nil
}

// String is the name as Mesos writes it, with no tag that was not given.
func (r reference) String() string {
	out := r.repository
	if r.registry != "" {
		out = r.registry + "/" + out
	}
	switch {
	case r.digest != "":
		return out + "@" + r.digest
	case r.tag != "":
		return out + ":" + r.tag
	default:
		return out
	}
}

// resolve returns what to ask a registry for; host is that of names without.
func (r reference) resolve(host string, insecure bool) (name.Reference, error) {
	r.registry = orElse(r.registry, host)
	if strings.HasSuffix(r.registry, "docker.io") {
		r.registry = name.DefaultRegistry // whose images without a folder are in library/
	}
	options := []name.Option{name.WithDefaultTag("latest")}
	if insecure {
		options = append(options, name.Insecure)
	}
	return name.ParseReference(r.String(), options...)
}

// file returns where in a folder the image's archive or layout is, without ".tar".
func (r reference) file(dir string) (string, error) {
	if name := r.String(); !filepath.IsLocal(name) || filepath.Clean(name) != name || name == "." {
		return "", errors.New("the name is not that of a file in the folder of archives")
	}
	return filepath.Join(dir, r.String()), nil
}

// defaultRegistry splits --docker_registry into a host, and whether that may be
// spoken to without TLS.
func defaultRegistry(url string) (host string, insecure bool) {
	host, insecure = strings.CutPrefix(url, "http://")
	host = strings.TrimPrefix(host, "https://")
	return strings.TrimSuffix(host, "/"), insecure
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
