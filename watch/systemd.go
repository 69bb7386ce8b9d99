package watch

import (
	"net"
	"os"
	"strconv"
	"time"
)

// Systemd is how to tell the service manager that started this process of its
// states, and how often it wants to hear that all is well: sd_notify(3), by the
// environment variables NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. notify is nil
// where there is none. A message that cannot be sent is lost.
func Systemd() (notify func(state string), watchdog time.Duration) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" || path[0] != '/' && path[0] != '@' {
		return nil, 0
	}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	pid := os.Getenv("WATCHDOG_PID")
	if err == nil && usec > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		watchdog = time.Duration(usec) * time.Microsecond
	}
	return func(state string) {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write([]byte(state))
	}, watchdog
}
