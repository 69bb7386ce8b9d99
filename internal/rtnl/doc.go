// Package rtnl speaks rtnetlink(7): links, addresses and routes, one message a
// function. It knows nothing of guests or backends.
package rtnl
