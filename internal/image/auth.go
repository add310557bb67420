package image

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// keychain is the credentials of a Docker configuration file, by registry. It
// is looked in before the agent's own.
type keychain map[string]authn.AuthConfig

// parseConfig reads a config.json, or the older .dockercfg, which is only its
// "auths".
func parseConfig(text []byte) (keychain, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var config struct {
		Auths map[string]authn.AuthConfig `json:"auths"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, notConfig(err)
	}
	if config.Auths == nil {
		if err := json.Unmarshal(text, &config.Auths); err != nil {
			return nil, notConfig(err)
		}
	}
	out := keychain{}
	for url, auth := range config.Auths {
		out[registryKey(url)] = auth
	}
	return out, nil
}

// notConfig tells what is wrong without the text, which is secret: the decoder's
// errors quote parts of it.
func notConfig(error) error {
	return errors.New(`not a Docker configuration: give {"auths": {"REGISTRY": {"auth": "…"}}}`)
}

// Resolve implements authn.Keychain.
func (k keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	if auth, ok := k[registryKey(target.RegistryStr())]; ok {
		return authn.FromConfig(auth), nil
	}
	return authn.Anonymous, nil
}

// registryKey is what of a registry's URL tells it from others; Docker's own
// has many names.
func registryKey(url string) string {
	host := strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://")
	host, _, _ = strings.Cut(host, "/")
	if host == "docker.io" || strings.HasSuffix(host, ".docker.io") {
		return "docker.io"
	}
	return strings.ToLower(host)
}
