package ovs

import "time"

// LookAgainAfter has Collect and Orphans look for the second time after d.
func (c *Client) LookAgainAfter(d time.Duration) { c.apart = d }
