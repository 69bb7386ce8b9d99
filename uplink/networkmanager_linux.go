package uplink

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// byNetworkManager asks NetworkManager, or where it does not answer reads what it keeps of each
// device, which may be from before its last start.
func byNetworkManager(nic *rtnl.Link, _ int) bool {
	managed, err := askNetworkManager(nic.Name)
	if err != nil {
		return says(fmt.Sprintf("/run/NetworkManager/devices/%d", nic.Index), "managed=true")
	}
	return managed
}

// busTime bounds the conversation.
const busTime = 2 * time.Second

// askNetworkManager asks by the system's bus (D-Bus Specification 0.41; nm-dbus-interface(5)). A
// device that it does not know it does not manage.
func askNetworkManager(nic string) (managed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), busTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", "/run/dbus/system_bus_socket")
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(busTime)); err != nil {
		return false, err
	}
	b := bus{conn, bufio.NewReader(conn)}
	if _, err := fmt.Fprintf(conn, "\x00AUTH EXTERNAL %x\r\n", fmt.Appendf(nil, "%d", os.Geteuid())); err != nil {
		return false, err
	}
	if line, err := b.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "OK") {
		return false, fmt.Errorf("the bus says %q, %w", line, err)
	}
	if _, err := io.WriteString(conn, "BEGIN\r\n"); err != nil {
		return false, err
	}
	const name, path = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager"
	if _, err := b.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello"); err != nil {
		return false, err
	}
	body, err := b.call(name, path, name, "GetDeviceByIpIface", nic)
	if errors.Is(err, errRefused) {
		return false, nil
	}
	if err != nil || len(body) < 5 {
		return false, fmt.Errorf("%s gave no device: %w", name, err)
	}
	device := string(bytes.TrimRight(body[4:], "\x00"))
	body, err = b.call(name, device, "org.freedesktop.DBus.Properties", "Get", name+".Device", "Managed")
	if err != nil || len(body) != 8 || body[1] != 'b' { // a variant: signature, padding, boolean
		return false, fmt.Errorf("%s did not tell: %w", name, err)
	}
	return !bytes.Equal(body[4:], make([]byte, 4)), nil
}

// A bus is a connection to D-Bus on which one call is made after the other.
type bus struct {
	out io.Writer
	in  *bufio.Reader
}

// errRefused is the error of a call that was answered by an error.
var errRefused = errors.New("the call was refused")

// call calls a method whose arguments are texts, and returns the answer's body.
func (b bus) call(to, path, iface, method string, args ...string) ([]byte, error) {
	var body, head message
	for _, arg := range args {
		body.text(arg)
	}
	head.Write([]byte{'l', 1, 0, 1}) // little endian, a call, no flags, version 1
	head.number(uint32(body.Len()))
	head.number(1) // serial
	head.number(0) // the length of the fields, for which see below
	const begin = 16
	head.field(1, 'o', path)
	head.field(2, 's', iface)
	head.field(3, 's', method)
	head.field(6, 's', to)
	if len(args) > 0 {
		head.field(8, 'g', strings.Repeat("s", len(args)))
	}
	binary.LittleEndian.PutUint32(head.Bytes()[begin-4:], uint32(head.Len()-begin))
	head.pad(8)
	if _, err := b.out.Write(append(head.Bytes(), body.Bytes()...)); err != nil {
		return nil, err
	}
	for {
		kind, body, err := b.read()
		switch {
		case err != nil:
			return nil, err
		case kind == 2:
			return body, nil
		case kind == 3:
			return nil, errRefused
		}
	}
}

// read reads one message: its type, and its body.
func (b bus) read() (kind byte, body []byte, err error) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(b.in, head); err != nil {
		return 0, nil, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[0] == 'B' {
		order = binary.BigEndian
	}
	n, fields := int64(order.Uint32(head[4:])), int64(order.Uint32(head[12:]))
	fields += -fields & 7
	if n+fields > someBytes {
		return 0, nil, errors.New("a message on the bus is too long")
	}
	rest := make([]byte, fields+n)
	_, err = io.ReadFull(b.in, rest)
	return head[1], rest[fields:], err
}

// A message of D-Bus in the making.
type message struct{ bytes.Buffer }

func (m *message) pad(to int) {
	for m.Len()%to != 0 {
		m.WriteByte(0)
	}
}

func (m *message) number(n uint32) { m.Write(binary.LittleEndian.AppendUint32(nil, n)) }

func (m *message) text(s string) {
	m.pad(4)
	m.number(uint32(len(s)))
	m.WriteString(s)
	m.WriteByte(0)
}

// field is a field of the header, of the type kind: o, s or g.
func (m *message) field(code, kind byte, value string) {
	m.pad(8)
	m.Write([]byte{code, 1, kind, 0})
	if kind != 'g' {
		m.text(value)
		return
	}
	m.WriteByte(byte(len(value)))
	m.WriteString(value)
	m.WriteByte(0)
}
