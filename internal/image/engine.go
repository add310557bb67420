package image

import (
	"encoding/base64"
	"encoding/json"
)

// EngineAuth returns what a Docker Engine takes as credentials for an image's
// registry, from the text of a Docker configuration file; "" where there are none.
func EngineAuth(config []byte) (func(image string) string, error) {
	all, err := parseConfig(config, true)
	if err != nil {
		return nil, err
	}
	return func(image string) string {
		ref, err := parseReference(image)
		if err != nil {
			return "" // the Engine says what is wrong with it
		}
		auth, ok, err := all.find(orElse(ref.registry, "docker.io"))
		if !ok || err != nil {
			return "" // the registry says that there are none
		}
		text, err := json.Marshal(struct {
			Username      string `json:"username,omitempty"`
			Password      string `json:"password,omitempty"`
			IdentityToken string `json:"identitytoken,omitempty"`
			RegistryToken string `json:"registrytoken,omitempty"`
		}{auth.Username, auth.Password, auth.IdentityToken, auth.RegistryToken})
		if err != nil {
			return ""
		}
		return base64.URLEncoding.EncodeToString(text)
	}, nil
}
