// Package guest is the inside of a lane: the first process of the guest, which
// mounts what a program expects to find, loads kernel modules, runs the program and
// turns the guest off. Host and guest talk through the files of one shared folder.
package guest
