//go:build linux

package packaging_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/goreleaser/nfpm/v2"
)

// TestGoreleaser reads the configuration of releases, of which every word has to be known,
// and compares what its packages hold with nfpm.yaml.
func TestGoreleaser(t *testing.T) {
	release, err := config.Load("../.goreleaser.yaml")
	must(t, err)
	if len(release.NFPMs) != 1 {
		t.Fatalf("%d kinds of package", len(release.NFPMs))
	}
	packages := release.NFPMs[0]
	here, err := nfpm.ParseFileWithEnvMapping("nfpm.yaml", func(string) string { return "amd64" })
	must(t, err)
	type content struct{ Source, Destination, Packager string }
	var theirs []content
	for _, b := range release.Builds { // goreleaser adds these itself
		theirs = append(theirs, content{"bin/dist/" + b.Binary, packages.Bindir + "/" + b.Binary, ""})
	}
	for _, c := range packages.Contents {
		theirs = append(theirs, content{c.Source, c.Destination, c.Packager})
	}
	var ours []content
	for _, c := range here.Contents {
		ours = append(ours, content{c.Source, c.Destination, c.Packager})
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("contents (-.goreleaser.yaml, +nfpm.yaml)\n%s", diff)
	}
	type said struct{ Name, Section, Maintainer, Vendor, Homepage, License, Description, PostInstall, PreRemove, PostRemove string }
	if diff := cmp.Diff(
		said{packages.PackageName, packages.Section, packages.Maintainer, packages.Vendor, packages.Homepage, packages.License, packages.Description, packages.Scripts.PostInstall, packages.Scripts.PreRemove, packages.Scripts.PostRemove},
		said{here.Name, here.Section, here.Maintainer, here.Vendor, here.Homepage, here.License, here.Description, here.Scripts.PostInstall, here.Scripts.PreRemove, here.Scripts.PostRemove},
	); diff != "" {
		t.Errorf("-.goreleaser.yaml, +nfpm.yaml\n%s", diff)
	}
	if diff := cmp.Diff(packages.Suggests, here.Suggests); diff != "" {
		t.Errorf("suggests\n%s", diff)
	}
}
