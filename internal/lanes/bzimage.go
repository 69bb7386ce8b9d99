//go:build linux

package lanes

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Fields in the header of a bzImage, from the kernel's Documentation/x86/boot.rst.
const (
	setupSects    = 0x1f1 // sectors of real-mode code after the first, one byte
	payloadOffset = 0x248 // of the compressed kernel in the protected-mode code
	payloadLength = 0x24c
	headerEnd     = 0x250
	sectorSize    = 512
)

// extractKernel writes to the file to the kernel that the file image, a bzImage, holds
// compressed. QEMU boots it in less than half the time.
func extractKernel(ctx context.Context, image, to string) error {
	text, err := os.ReadFile(image)
	if err != nil {
		return err
	}
	payload, err := compressedKernel(text)
	if err != nil {
		return fmt.Errorf("%s: %w", image, err)
	}
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := exec.CommandContext(ctx, "xz", "-dc", "--single-stream") // its length follows
	cmd.Stdin = bytes.NewReader(payload)
	cmd.Stdout = file
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("decompress %s: %w", image, err)
	}
	return file.Close()
}

// compressedKernel is the part of image that holds the kernel.
func compressedKernel(image []byte) ([]byte, error) {
	if len(image) < headerEnd {
		return nil, errors.New("too short for a kernel")
	}
	start := (int(image[setupSects])+1)*sectorSize + int(binary.LittleEndian.Uint32(image[payloadOffset:]))
	end := start + int(binary.LittleEndian.Uint32(image[payloadLength:]))
	if end > len(image) {
		return nil, errors.New("too short for the kernel its header tells of")
	}
	if payload := image[start:end]; bytes.HasPrefix(payload, []byte("\xfd7zXZ\x00")) {
		return payload, nil
	}
	return nil, fmt.Errorf("%w: not compressed with xz", errors.ErrUnsupported)
}
