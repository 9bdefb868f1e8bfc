package cloud

import "time"

// Pace is the first interval between two polls. Whoever holds a call back so
// that others may join it measures by it: a share of a second on AWS, next to
// nothing on the local cloud.
func (c *Cloud) Pace() time.Duration { return c.patience }
