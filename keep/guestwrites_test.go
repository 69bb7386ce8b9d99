//go:build linux

package keep_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)
