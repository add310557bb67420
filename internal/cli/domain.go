package cli

import (
	"errors"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/flags"
)

const domainExample = `{"fault_domain": {"region": {"name": "eu"}, "zone": {"name": "eu-1"}}}`

// domainFlag defines --domain, which has a fault domain or is not given at all.
func domainFlag(set *flags.Set, to **mesos.DomainInfo, help string) {
	decode := decodeInto(to)
	set.JSON(func(text []byte) error {
		if err := decode(text); err != nil {
			return err
		}
		if (*to).GetFaultDomain() == nil {
			return errors.New("`domain` must define `fault_domain`")
		}
		return nil
	}, "domain", help)
}
