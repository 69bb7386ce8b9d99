//go:build linux

package critest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/plugin"
	"github.com/go-pipework/pipework/plugin/cni"
)

// TestMain is the plugin itself where containerd starts the test's binary as one.
func TestMain(m *testing.M) {
	if os.Getenv("CNI_COMMAND") != "" {
		cni.Main()
		return
	}
	runtimetest.Main(m)
}

const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/bb:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "%[1]s/bin"
    conf_dir = "%[1]s/net.d"
`

const network = `{"cniVersion": "1.0.0", "name": "lan", "plugins": [{"type": "pipework", "link": "br-cri", "addrs": ["10.5.0.2/24"], "gateways": ["10.5.0.1"],
	"capabilities": {"io.kubernetes.cri.pod-annotations": true}}]}`

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), mode))
}

// TestPod: a pod's container sees the pod's address, and what its annotations declare, from the
// first instruction on; nothing is left of it.
func TestPod(t *testing.T) {
	runtimetest.Require(t, "containerd", "containerd", "ctr", "runc", "busybox")
	nstest.CleanHost(t)
	dir := t.TempDir()
	self, err := os.Executable()
	must(t, err)
	state := filepath.Join(dir, "state")
	write(t, dir+"/bin/pipework", fmt.Sprintf("#!/bin/sh\nPIPEWORK_STATE=%s exec %s\n", state, self), 0o755)
	must(t, os.Symlink("/usr/lib/cni/loopback", dir+"/bin/loopback"))
	write(t, dir+"/net.d/lan.conflist", network, 0o644)
	write(t, dir+"/config.toml", fmt.Sprintf(containerdConfig, dir), 0o644)
	runtimetest.Daemon(t, "containerd", "--config", dir+"/config.toml")
	runtimetest.Socket(t, "/run/containerd/containerd.sock")
	runtimetest.Run(t, "ctr", "-a", "/run/containerd/containerd.sock", "-n", "k8s.io", "image", "import", image(t))
	conn, err := grpc.NewClient("unix:///run/containerd/containerd.sock", grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer func() { _ = conn.Close() }()
	runtime := cri.NewRuntimeServiceClient(conn)
	ctx := t.Context()
	testwait.Eventually(t, "containerd has read its network", func() bool {
		status, err := runtime.Status(ctx, &cri.StatusRequest{})
		if err != nil {
			return false
		}
		for _, c := range status.Status.Conditions {
			if !c.Status {
				return false
			}
		}
		return true
	})
	before := nstest.Observe(t)
	pod := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: "web", Uid: "uid-web", Namespace: "default"},
		Annotations:  map[string]string{"pipework.eth5": "br-more 10.6.0.2/24"},
		LogDirectory: dir + "/log",
		Linux:        &cri.LinuxPodSandboxConfig{},
	}
	run, err := runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: pod})
	must(t, err)
	id := run.PodSandboxId
	is, err := runtime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: id})
	must(t, err)
	if ip := is.Status.Network.Ip; ip != "10.5.0.2" {
		t.Errorf("the pod's address is %q", ip)
	}
	c, err := runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: id, SandboxConfig: pod, Config: &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "first"}, Image: &cri.ImageSpec{Image: "localhost/bb:1"},
		Command: []string{"/bin/ip", "-o", "-4", "addr"}, LogPath: "first.log", Linux: &cri.LinuxContainerConfig{},
	}})
	must(t, err)
	_, err = runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: c.ContainerId})
	must(t, err)
	testwait.Eventually(t, "the container has seen both addresses", func() bool {
		text, _ := os.ReadFile(dir + "/log/first.log")
		return strings.Contains(string(text), "eth0    inet 10.5.0.2/24") && strings.Contains(string(text), "eth5    inet 10.6.0.2/24")
	})
	for range 2 { // as a kubelet does
		_, err = runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id})
		must(t, err)
	}
	_, err = runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
	must(t, err)
	h, err := plugin.Open(state, config.Declarations{})
	must(t, err)
	left, damaged, err := h.Store.All()
	if err := errors.Join(append(damaged, err, h.Close())...); len(left) > 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
	before.Unchanged(t)
}

// image is a file with an image of busybox, which sleeps, in the form of docker save.
func image(t *testing.T) string {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	must(t, w.AddFS(os.DirFS(runtimetest.Rootfs(t))))
	must(t, w.Close())
	digest := fmt.Sprintf("%x", sha256.Sum256(layer.Bytes()))
	conf, err := json.Marshal(map[string]any{
		"architecture": goruntime.GOARCH, "os": "linux", "config": map[string]any{"Cmd": []string{"/bin/sleep", "100000"}, "Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest}}, "history": []any{map[string]any{}},
	})
	must(t, err)
	manifest, err := json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": []string{"localhost/bb:1"}, "Layers": []string{digest + "/layer.tar"}}})
	must(t, err)
	path := filepath.Join(t.TempDir(), "image.tar")
	f, err := os.Create(path)
	must(t, err)
	w = tar.NewWriter(f)
	for _, file := range []struct {
		name string
		text []byte
	}{{"config.json", conf}, {digest + "/layer.tar", layer.Bytes()}, {"manifest.json", manifest}} {
		must(t, w.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.text))}))
		_, err := w.Write(file.text)
		must(t, err)
	}
	must(t, errors.Join(w.Close(), f.Close()))
	return path
}
