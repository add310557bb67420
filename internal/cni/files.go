package cni

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// DNS says how names are resolved.
type DNS struct {
	Nameservers []string `json:"nameservers"`
	Domain      string   `json:"domain"`
	Search      []string `json:"search"`
	Options     []string `json:"options"`
}

// add puts another network's servers after those of d; of domains the last counts.
func (d *DNS) add(other DNS) {
	d.Nameservers, d.Search = append(d.Nameservers, other.Nameservers...), append(d.Search, other.Search...)
	d.Options = append(d.Options, other.Options...)
	if other.Domain != "" {
		d.Domain = other.Domain
	}
}

// text returns d in the format of resolv.conf. A line is one item: what would
// make more of it is left out.
func (d *DNS) text() string {
	var out strings.Builder
	line := func(words ...string) {
		if len(words) > 1 && !slices.ContainsFunc(words, func(w string) bool { return w == "" || strings.ContainsAny(w, "\n\r") }) {
			out.WriteString(strings.Join(words, " ") + "\n")
		}
	}
	line("domain", d.Domain)
	line(append([]string{"search"}, d.Search...)...)
	line(append([]string{"options"}, d.Options...)...)
	for _, server := range d.Nameservers {
		line("nameserver", server)
	}
	return out.String()
}

// writeFiles writes what a container is to see in /etc. The file of its name comes
// last: with it, all is there.
func (n *Networks) writeFiles(dir, hostname string, all []*link, results []*types100.Result) error {
	var dns DNS
	for i, l := range all {
		dns.add(n.dns(l.network, results[i]))
	}
	if len(dns.Nameservers) > 0 {
		if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte(dns.text()), 0o644); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte(hosts(hostname, results)), 0o644); err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, "hostname"), []byte(hostname)); err != nil {
		return err
	}
	return os.Chmod(filepath.Join(dir, "hostname"), 0o644)
}

// dns returns the servers of a network, or else those of the operator's for it.
func (n *Networks) dns(network string, result *types100.Result) DNS {
	if d := result.DNS; len(d.Nameservers) > 0 {
		return DNS{d.Nameservers, d.Domain, d.Search, d.Options}
	}
	if d, ok := n.cfg.DNS[network]; ok {
		return d
	}
	return n.cfg.DNS[""]
}

// hosts names the container's first address.
func hosts(hostname string, results []*types100.Result) string {
	text := "127.0.0.1 localhost\n"
	for _, r := range results {
		if ips := addresses(r); len(ips) > 0 {
			return text + ips[0].GetIpAddress() + " " + hostname + "\n"
		}
	}
	return text
}
