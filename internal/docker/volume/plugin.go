package volume

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Folders are where plugins are looked for.
type Folders struct {
	Sockets string   // of NAME.sock and NAME/NAME.sock
	Specs   []string // of NAME.spec, NAME.json and so on
}

// dockersFolders are those of the Docker Engine.
var dockersFolders = Folders{Sockets: "/run/docker/plugins", Specs: []string{"/etc/docker/plugins", "/usr/lib/docker/plugins"}}

// Bounds of what is taken from a plugin.
const (
	answerMax = 1 << 20
	headerMax = 64 << 10
	errorMax  = 1 << 10
	specMax   = 64 << 10
)

// contentType is that of version 1.2 of the protocol.
const contentType = "application/vnd.docker.plugins.v1.2+json"

// An answer is what a plugin says, the fields of all calls together.
type answer struct {
	Implements []string
	Mountpoint string
	Err        string
}

// A refusedError is what a plugin answers that does not do what it is asked.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// refused reports whether a plugin has said no: then nothing has come of the call. Of
// other errors nobody knows.
func refused(err error) bool {
	_, ok := errors.AsType[*refusedError](err)
	return ok
}

// A plugin is one that was found.
type plugin struct {
	name string
	base string // of its URLs
	http *http.Client
}

// find looks for a plugin as the Docker Engine does.
func (f Folders) find(name string) (*plugin, error) {
	if name != path.Base(name) || name == "." || name == ".." || strings.ContainsRune(name, 0) {
		return nil, fmt.Errorf("'%s' is no name of a Docker volume plugin", name)
	}
	for _, stem := range []string{filepath.Join(f.Sockets, name), filepath.Join(f.Sockets, name, name)} {
		if info, err := os.Stat(stem + ".sock"); err == nil && info.Mode()&fs.ModeSocket != 0 {
			return newPlugin(name, "unix://"+stem+".sock", nil)
		}
	}
	for _, dir := range f.Specs {
		for _, stem := range []string{filepath.Join(dir, name), filepath.Join(dir, name, name)} {
			p, err := fromSpec(name, stem)
			if !errors.Is(err, fs.ErrNotExist) {
				return p, err
			}
		}
	}
	return nil, fmt.Errorf("Docker volume plugin '%s' is not there: start it on this agent; it would have a socket %s.sock in %s, or a file %s.spec or %s.json in %s", //nolint:staticcheck // a name
		name, name, f.Sockets, name, name, strings.Join(f.Specs, " or "))
}

// fromSpec reads where a plugin is: a file of its address, or one of JSON.
func fromSpec(name, stem string) (*plugin, error) {
	text, err := readSpec(stem + ".spec")
	if err == nil {
		return newPlugin(name, strings.TrimSpace(string(text)), nil)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if text, err = readSpec(stem + ".json"); err != nil {
		return nil, err
	}
	var spec struct {
		Addr      string
		TLSConfig *tlsFiles
	}
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, fmt.Errorf("read %s.json: %w", stem, err)
	}
	return newPlugin(name, spec.Addr, spec.TLSConfig)
}

func readSpec(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, specMax))
}

// tlsFiles are how a plugin's other end is known.
type tlsFiles struct {
	InsecureSkipVerify        bool
	CAFile, CertFile, KeyFile string
}

func (t *tlsFiles) load() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify} //nolint:gosec // the operator's word
	if t.CAFile != "" {
		text, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("no certificate in %s", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

func newPlugin(name, address string, files *tlsFiles) (*plugin, error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address of Docker volume plugin '%s': %w", name, err)
	}
	transport := &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: headerMax}
	p := &plugin{name: name, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	switch at.Scheme {
	case "unix":
		p.base = "http://plugin"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", at.Path)
		}
	case "tcp", "http", "https":
		p.base = "http://" + at.Host
		if files != nil || at.Scheme == "https" {
			if files == nil {
				files = &tlsFiles{}
			}
			p.base = "https://" + at.Host
			if transport.TLSClientConfig, err = files.load(); err != nil {
				return nil, fmt.Errorf("certificates of Docker volume plugin '%s': %w", name, err)
			}
		}
	default:
		return nil, fmt.Errorf("address '%s' of Docker volume plugin '%s' is none of unix, tcp, http and https", address, name)
	}
	return p, nil
}

// activate asks what it is: one of volumes, or another.
func (p *plugin) activate(ctx context.Context) error {
	a, err := p.call(ctx, "Plugin.Activate", struct{}{})
	if err == nil && !slices.Contains(a.Implements, "VolumeDriver") {
		err = errors.New("it is no plugin of volumes")
	}
	if err != nil {
		return p.failed("activate", err)
	}
	return nil
}

// make makes a volume unless there is one.
func (p *plugin) make(ctx context.Context, name string, options map[string]string) error {
	_, err := p.call(ctx, "VolumeDriver.Get", map[string]any{"Name": name})
	if refused(err) {
		_, err = p.call(ctx, "VolumeDriver.Create", map[string]any{"Name": name, "Opts": options})
	}
	if err != nil {
		return p.failed(fmt.Sprintf("find or make volume '%s'", name), err)
	}
	return nil
}

// mount has the volume be somewhere on the machine and returns where. It is for id,
// as what is asked for it again is.
func (p *plugin) mount(ctx context.Context, name, id string) (string, error) {
	a, err := p.call(ctx, "VolumeDriver.Mount", map[string]any{"Name": name, "ID": id})
	if err == nil {
		err = checkMountpoint(a.Mountpoint)
	}
	if err != nil {
		return "", p.failed(fmt.Sprintf("mount volume '%s'", name), err)
	}
	return a.Mountpoint, nil
}

func (p *plugin) unmount(ctx context.Context, name, id string) error {
	if _, err := p.call(ctx, "VolumeDriver.Unmount", map[string]any{"Name": name, "ID": id}); err != nil {
		return p.failed(fmt.Sprintf("unmount volume '%s'", name), err)
	}
	return nil
}

func (p *plugin) failed(what string, err error) error {
	return fmt.Errorf("Docker volume plugin '%s' failed to %s: %w", p.name, what, err) //nolint:staticcheck // a name
}

func (p *plugin) call(ctx context.Context, method string, arguments any) (a answer, err error) {
	body, err := json.Marshal(arguments)
	if err != nil {
		return a, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+"/"+method, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Accept", contentType)
	response, err := p.http.Do(request)
	if err != nil {
		return a, ended(ctx, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerMax+1))
	if err != nil {
		return a, ended(ctx, err)
	}
	return parse(response.StatusCode, text)
}

// ended tells a time that is up in words of ours.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// parse reads an answer, which may be anything.
func parse(status int, text []byte) (a answer, err error) {
	if len(text) > answerMax {
		return answer{}, fmt.Errorf("its answer has more than %d bytes", answerMax)
	}
	err = json.Unmarshal(text, &a)
	switch {
	case err == nil && a.Err != "":
		return answer{}, &refusedError{short(a.Err)}
	case status != http.StatusOK:
		return answer{}, &refusedError{strings.TrimSpace(fmt.Sprintf("%d %s %s", status, http.StatusText(status), short(string(text))))}
	case err != nil:
		return answer{}, fmt.Errorf("its answer is not what it should be: %w", err)
	}
	return a, nil
}

// short returns what can be shown of a text.
func short(text string) string {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > errorMax {
		text = strings.ToValidUTF8(text[:errorMax], "") + "…"
	}
	return text
}

// checkMountpoint refuses what is no place that a volume could be at.
func checkMountpoint(at string) error {
	switch {
	case !path.IsAbs(at) || strings.ContainsRune(at, 0) || slices.Contains(strings.Split(at, "/"), ".."):
		return fmt.Errorf("it says that the volume is at '%s', which is no absolute path without '..'", short(at))
	case path.Clean(at) == "/":
		return errors.New("it says that the volume is at '/'")
	}
	return nil
}
