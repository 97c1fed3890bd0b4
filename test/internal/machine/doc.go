// Package machine looks at the PostgreSQL servers of a host's agent as the machine sees them: by the files that PostgreSQL keeps, and by the kernel's table of processes. The agent is not asked.
//
//	m := machine.Machine{T: t, Data: "/var/tmp/setpoint-123"}
//	m.Send(syscall.SIGKILL, m.Processes("orders.s1-0")...)
//	for _, process := range m.Left() { t.Error(process) } // when all should be gone
package machine
