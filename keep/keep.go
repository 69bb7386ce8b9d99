// Package keep makes attachments outlast what the kernel forgets: it records each
// one in a directory, so that they can be checked, finished or taken back after a
// crash, and plugged in again after a restart.
//
// A [Store] is the directory; a [Record] is one file in it, JSON that a person can
// read. A [Plugger] attaches what is [Declared], a Spec above all, and detaches, with a
// record of each: the intent before the first change, the result after. Several processes
// may share a directory. Package watch plugs in again what was declared, by records or by
// the containers themselves, whenever they start.
package keep
