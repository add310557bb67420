package validate_test

import (
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/validate"
)

func TestContainerID(t *testing.T) {
	id := &mesos.ContainerID{Value: new("c")}
	refused(t, validate.ContainerID(id), "")
	for range 100 {
		id = &mesos.ContainerID{Value: new("c"), Parent: id}
	}
	if validate.ContainerID(id) == nil {
		t.Error("a hundred levels are not refused")
	}
}

func TestCommandInfo(t *testing.T) {
	variable := func(fields string) string { return `{"environment":{"variables":[{"name":"A",` + fields + `}]}}` }
	secret := func(fields string) string { return variable(`"type":"SECRET","secret":{` + fields + `}`) }
	const invalid = "Environment variable 'A' specifies an invalid secret: "
	for _, test := range []struct{ command, want string }{
		{`{}`, ""},
		{variable(`"value":""`), ""},
		{variable(`"type":"VALUE"`), "Environment variable 'A' of type 'VALUE' must have a value set"},
		{variable(`"value":"v","secret":{}`), "Environment variable 'A' of type 'VALUE' must not have a secret set"},
		{variable(`"type":"UNKNOWN"`), "Environment variable of type 'UNKNOWN' is not allowed"},
		{variable(`"type":"SECRET"`), "Environment variable 'A' of type 'SECRET' must have a secret set"},
		{
			variable(`"type":"SECRET","secret":{},"value":"v"`),
			"Environment variable 'A' of type 'SECRET' must not have a value set",
		},
		{secret(`"type":"VALUE","value":{"data":"AQ=="}`), ""},
		{secret(`"type":"VALUE","value":{"data":"AQA="}`), "Environment variable 'A' specifies a secret containing null" +
			" bytes, which is not allowed in the environment"},
		{secret(`"type":"VALUE"`), invalid + "Secret of type VALUE must have the 'value' field set"},
		{
			secret(`"type":"VALUE","value":{"data":""},"reference":{"name":"r"}`),
			invalid + "Secret of type VALUE must not have the 'reference' field set",
		},
		{secret(`"type":"REFERENCE","reference":{"name":"r"}`), ""},
		{secret(`"type":"REFERENCE"`), invalid + "Secret of type REFERENCE must have the 'reference' field set"},
		{
			secret(`"type":"REFERENCE","reference":{"name":"r"},"value":{"data":""}`),
			invalid + "Secret 'r' of type REFERENCE must not have the 'value' field set",
		},
		{secret(``), ""},
	} {
		refused(t, validate.CommandInfo(read(t, test.command, &mesos.CommandInfo{})), test.want)
	}
}

func TestContainerInfo(t *testing.T) {
	volume := func(fields string) string {
		return `{"type":"MESOS","volumes":[{"container_path":"p","mode":"RW"` + fields + `}]}`
	}
	source := func(fields string) string { return volume(`,"source":{` + fields + `}`) }
	const one = "Invalid volume: Only one of them should be set: 'host_path', 'image' and 'source'"
	for _, test := range []struct{ container, want string }{
		{`{"type":"MESOS"}`, ""},
		{`{"type":"DOCKER"}`, "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"},
		{`{"type":"DOCKER","docker":{"image":"i"}}`, ""},
		{
			`{"type":"DOCKER","docker":{"image":"i","parameters":[{"key":"name","value":"n"}]}}`,
			"Parameter in DockerInfo must not be 'name'",
		},
		{volume(""), one},
		{volume(`,"host_path":"/"`), ""},
		{volume(`,"host_path":"/","image":{}`), one},
		{source(""), "Invalid volume: 'source.type' is unknown"},
		{source(`"type":"DOCKER_VOLUME"`), "Invalid volume: 'source.docker_volume' is not set for DOCKER_VOLUME volume"},
		{source(`"type":"HOST_PATH"`), "Invalid volume: 'source.host_path' is not set for HOST_PATH volume"},
		{source(`"type":"SANDBOX_PATH"`), "Invalid volume: 'source.sandbox_path' is not set for SANDBOX_PATH volume"},
		{source(`"type":"SECRET"`), "Invalid volume: 'source.secret' is not set for SECRET volume"},
		{source(`"type":"CSI_VOLUME"`), "Invalid volume: 'source.csi_volume' is not set for CSI volume"},
		{
			source(`"type":"CSI_VOLUME","csi_volume":{}`),
			"Invalid volume: 'source.csi_volume.static_provisioning' is not set for CSI volume",
		},
		{source(`"type":"SANDBOX_PATH","sandbox_path":{"path":"p"}`), ""},
	} {
		refused(t, validate.ContainerInfo(read(t, test.container, &mesos.ContainerInfo{})), test.want)
	}
	refused(t, validate.ContainerInfo(nil), "")
}

func TestHealthCheck(t *testing.T) {
	for _, test := range []struct{ check, want string }{
		{`{}`, "HealthCheck must specify 'type'"},
		{`{"type":"UNKNOWN"}`, "'UNKNOWN' is not a valid health check type"},
		{`{"type":"COMMAND"}`, "Expecting 'command' to be set for COMMAND health check"},
		{`{"type":"COMMAND","command":{}}`, "Command health check must contain 'shell command'"},
		{`{"type":"COMMAND","command":{"shell":false}}`, "Command health check must contain 'executable path'"},
		{`{"type":"COMMAND","command":{"value":"v"}}`, ""},
		{
			`{"type":"COMMAND","command":{"value":"v","environment":{"variables":[{"name":"A","type":"UNKNOWN"}]}}}`,
			"Health check's `CommandInfo` is invalid: Environment variable of type 'UNKNOWN' is not allowed",
		},
		{`{"type":"HTTP"}`, "Expecting 'http' to be set for HTTP health check"},
		{`{"type":"HTTP","http":{"port":80,"scheme":"ftp"}}`, "Unsupported HTTP health check scheme: 'ftp'"},
		{`{"type":"HTTP","http":{"port":80,"path":"p"}}`, "The path 'p' of HTTP health check must start with '/'"},
		{`{"type":"HTTP","http":{"port":80,"scheme":"https","path":"/p"}}`, ""},
		{`{"type":"TCP"}`, "Expecting 'tcp' to be set for TCP health check"},
		{`{"type":"TCP","tcp":{"port":80},"delay_seconds":-1}`, "Expecting 'delay_seconds' to be non-negative"},
		{
			`{"type":"TCP","tcp":{"port":80},"grace_period_seconds":-1}`,
			"Expecting 'grace_period_seconds' to be non-negative",
		},
		{`{"type":"TCP","tcp":{"port":80},"interval_seconds":-1}`, "Expecting 'interval_seconds' to be non-negative"},
		{`{"type":"TCP","tcp":{"port":80},"timeout_seconds":-1}`, "Expecting 'timeout_seconds' to be non-negative"},
		{`{"type":"TCP","tcp":{"port":80},"timeout_seconds":0}`, ""},
	} {
		refused(t, validate.HealthCheck(read(t, test.check, &mesos.HealthCheck{})), test.want)
	}
}

func TestCheckInfo(t *testing.T) {
	for _, test := range []struct{ check, want string }{
		{`{}`, "CheckInfo must specify 'type'"},
		{`{"type":"UNKNOWN"}`, "'UNKNOWN' is not a valid check type"},
		{`{"type":"COMMAND"}`, "Expecting 'command' to be set for COMMAND check"},
		{`{"type":"COMMAND","command":{"command":{}}}`, "Command check must contain 'shell command'"},
		{`{"type":"COMMAND","command":{"command":{"value":"v"}}}`, ""},
		{
			`{"type":"COMMAND","command":{"command":{"value":"v","environment":{"variables":[{"type":"UNKNOWN"}]}}}}`,
			"Check's `CommandInfo` is invalid: Environment variable of type 'UNKNOWN' is not allowed",
		},
		{`{"type":"HTTP"}`, "Expecting 'http' to be set for HTTP check"},
		{`{"type":"HTTP","http":{"port":80,"path":"p"}}`, "The path 'p' of HTTP check must start with '/'"},
		{`{"type":"TCP"}`, "Expecting 'tcp' to be set for TCP check"},
		{`{"type":"TCP","tcp":{"port":80},"interval_seconds":-1}`, "Expecting 'interval_seconds' to be non-negative"},
		{`{"type":"TCP","tcp":{"port":80}}`, ""},
	} {
		refused(t, validate.CheckInfo(read(t, test.check, &mesos.CheckInfo{})), test.want)
	}
}
