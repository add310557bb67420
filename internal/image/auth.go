package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// keychain is the credentials of a Docker configuration file, by registry. It
// is looked in before the agent's own.
type keychain struct {
	auths   map[string]authn.AuthConfig
	helpers map[string]string // of the registries that have one
	helper  string            // of all others; "" for none
}

// parseConfig reads a config.json, or the older .dockercfg, which is only its
// "auths". One that is trusted may name credential helpers, programs that are run
// as the agent.
func parseConfig(text []byte, trusted bool) (keychain, error) {
	var k keychain
	if len(text) == 0 {
		return k, nil
	}
	var config struct {
		Auths   map[string]authn.AuthConfig `json:"auths"`
		Helpers map[string]string           `json:"credHelpers"`
		Store   *string                     `json:"credsStore"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return k, notConfig(err)
	}
	if config.Auths == nil && config.Helpers == nil && config.Store == nil {
		if err := json.Unmarshal(text, &config.Auths); err != nil {
			return k, notConfig(err)
		}
	}
	k = keychain{auths: map[string]authn.AuthConfig{}, helpers: map[string]string{}}
	if config.Store != nil {
		k.helper = *config.Store
	}
	for url, auth := range config.Auths {
		k.auths[registryKey(url)] = auth
	}
	for url, helper := range config.Helpers {
		k.helpers[registryKey(url)] = helper
	}
	return k, k.checkHelpers(trusted)
}

var helperName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// checkHelpers refuses credential helpers that may not be run, or are not there.
func (k *keychain) checkHelpers(trusted bool) error {
	all := []string{k.helper}
	for _, helper := range k.helpers {
		all = append(all, helper)
	}
	for _, helper := range all {
		switch {
		case helper == "":
		case !trusted:
			return errors.New("credsStore and credHelpers name programs of the agent's machine, so only the agent's --docker_config may have them: give the credentials in auths")
		case !helperName.MatchString(helper):
			return fmt.Errorf("credential helper %q: want a name, of the program docker-credential-NAME", helper)
		default:
			if _, err := exec.LookPath(helperPrefix + helper); err != nil {
				return fmt.Errorf("credential helper %s, which credsStore or credHelpers name: %w", helper, err)
			}
		}
	}
	return nil
}

// notConfig tells what is wrong without the text, which is secret: the decoder's
// errors quote parts of it.
func notConfig(error) error {
	return errors.New(`not a Docker configuration: give {"auths": {"REGISTRY": {"auth": "…"}}}`)
}

// Resolve implements authn.Keychain.
func (k keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	auth, ok, err := k.find(target.RegistryStr())
	if !ok || err != nil {
		return authn.Anonymous, err
	}
	return authn.FromConfig(auth), nil
}

// find returns the credentials for a registry: those that a helper has, or else
// those that are written down.
func (k keychain) find(registry string) (auth authn.AuthConfig, ok bool, err error) {
	key := registryKey(registry)
	if helper := orElse(k.helpers[key], k.helper); helper != "" {
		if auth, ok, err = askHelper(helper, key); ok || err != nil {
			return auth, ok, err
		}
	}
	auth, ok = k.auths[key]
	return auth, ok, nil
}

const (
	helperPrefix   = "docker-credential-"
	helperPatience = 30 * time.Second
	// notFound and identity are what helpers say by convention: that they have
	// nothing, and that the secret is a token.
	notFound = "credentials not found"
	identity = "<token>"
)

// askHelper asks a credential helper for what it has for a registry.
func askHelper(helper, registry string) (auth authn.AuthConfig, ok bool, err error) {
	if registry == "docker.io" {
		registry = "https://index.docker.io/v1/" // the name that helpers know
	}
	ctx, cancel := context.WithTimeout(context.Background(), helperPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, helperPrefix+helper, "get")
	cmd.Stdin, cmd.WaitDelay = strings.NewReader(registry), time.Second
	out, err := cmd.Output()
	if err != nil { // what it prints then is no secret, but why
		if strings.Contains(string(out), notFound) {
			return auth, false, nil
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return auth, false, fmt.Errorf("credential helper %s has nothing to say of %s: %s: %w", helper, registry, first, err)
	}
	var said struct{ Username, Secret string }
	if err := json.Unmarshal(out, &said); err != nil {
		return auth, false, fmt.Errorf("credential helper %s: its answer about %s is no JSON", helper, registry)
	}
	if said.Username == identity {
		return authn.AuthConfig{IdentityToken: said.Secret}, true, nil
	}
	return authn.AuthConfig{Username: said.Username, Password: said.Secret}, said.Secret != "", nil
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
