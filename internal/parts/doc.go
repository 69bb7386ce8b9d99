// Package parts has the concerns of a Spec, each a type in a file of its own with the
// same three methods: addresses, gateways, routes, rules, shaping, leases and what
// routers advertise. Attach, Check, List, Update and Detach walk one list of them.
package parts
