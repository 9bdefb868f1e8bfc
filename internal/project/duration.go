package project

import "time"

// Duration is a time span written as Go and Packer write it: 90s, 5m, 1h30m.
type Duration time.Duration

// Or returns the duration, or another one when it is zero.
func (d Duration) Or(other time.Duration) time.Duration {
	if d == 0 {
		return other
	}
	return time.Duration(d)
}
