package docker_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"

	"github.com/go-pipework/pipework/ns/docker"
)

func ExampleContainer() {
	guest, err := docker.Container("web").Open(context.Background())
	if errors.Is(err, fs.ErrNotExist) {
		log.Fatal(err) // no such container, or one that does not run
	}
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = guest.Close() }()
	fmt.Println(guest.Name, guest.PID)
}

// Podman's service, where it is enabled, is an engine too.
func ExampleEngine() {
	podman := docker.Engine{Host: "unix:///run/podman/podman.sock"}
	guest, err := podman.Container("web").Open(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = guest.Close() }()
	fmt.Println(guest.ID)
}
