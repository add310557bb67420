// Meseta is a cluster manager that speaks the protocols of Apache Mesos. It is
// one binary: master, agent, and the commands that use them.
package main

import (
	"os"

	"github.com/meseta-project/meseta/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args)) }
