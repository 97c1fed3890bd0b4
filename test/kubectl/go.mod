module github.com/setpointhq/setpoint/test/kubectl

go 1.26.0

require (
	k8s.io/component-base v0.32.10 // indirect
	k8s.io/kubectl v0.32.10 // indirect
)
