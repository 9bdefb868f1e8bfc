// Package leash runs local commands that do not outlive this process. All that
// a command has started ends when its context does, and also, within seconds,
// when this process is killed and can do nothing about it any more. It never
// touches a process that it has not started, nor what a command that ended well
// has left running on purpose.
package leash

import "time"

// Goodbye is how long the processes of a command may take to end once they are
// told to.
const Goodbye = 3 * time.Second
