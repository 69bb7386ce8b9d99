// Package attacker is a guest that does all it can to harm its host and the other guests: a
// program with every capability in a user and a network namespace of its own, and none
// outside. It forges and replays marks, renames, deletes and makes interfaces again, moves
// them on, holds locks, fills routing tables, writes sysctls, and sends what only others may
// send. It does one thing after another, chosen by chance, until it is told to end, and then
// tells how often it did what.
//
// Tests stand on it: while it is at work, the promises of SECURITY.md have to hold.
package attacker
