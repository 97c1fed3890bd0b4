// Command kubectl is the stock kubectl, built from its module, for machines that have none. It is a module of its own, so that
// Setpoint does not depend on what kubectl depends on.
package main

import (
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}
