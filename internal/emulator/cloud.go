package emulator

import (
	"time"

	"github.com/goldline-dev/goldline/internal/machine"
)

// Options say how a local cloud behaves.
type Options struct {
	// Dir keeps the cloud from one process to the next; empty keeps it in
	// memory, with its machines in a temporary folder that Close removes.
	Dir string
	// Machine is what instances run on; empty is the best that works here.
	// None of the machines start when it is NoMachines.
	Machine machine.Kind
	// Transition is how long a change of state takes (pending to running):
	// 120 ms when zero.
	Transition time.Duration
	// Clock is the system's when nil.
	Clock Clock
	// Buckets switches EC2's request token buckets on.
	Buckets bool
	// Latency is added to every call.
	Latency time.Duration
	// Consistency is how long something new stays invisible to reads.
	Consistency time.Duration
}

// NoMachines is the machine kind of a cloud whose instances run nothing: for
// tests and measurements of calls alone.
const NoMachines machine.Kind = "none"

// Cloud is a local cloud. Its methods may be called from many goroutines.
type Cloud struct {
	options     Options
	clock       Clock
	store       *store
	registry    registry
	settlers    map[string]settler
	transitions *table[transition]
	ec2         *ec2Service
}
