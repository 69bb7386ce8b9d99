package firewall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
)

// dockerChain is where Docker leaves room for other people's rules: it jumps
// there before its own, and does not touch what it finds inside.
const dockerChain = "DOCKER-USER"

// An ipFamily is one of the two protocols whose bridged frames br_netfilter
// shows to the firewall.
type ipFamily struct {
	nft    nftables.TableFamily
	tool   string // the program that rules are typed with; the sysctl has its name too
	legacy xtables
}

var ipFamilies = []ipFamily{
	{nftables.TableFamilyIPv4, "iptables", xtables4},
	{nftables.TableFamilyIPv6, "ip6tables", xtables6},
}

// Check says what to type where the firewall drops frames within the bridge. It
// changes nothing.
func (b Bridge) Check(ctx context.Context) (Advice, error) {
	f, err := newFirewall(ctx, b, shown)
	if f == nil || err != nil {
		return Advice{}, err
	}
	defer f.close()
	return f.advice(ctx)
}

// Accept puts a rule at the head of DOCKER-USER that accepts frames within the
// bridge, for IPv4 and IPv6, unless there is one. added says that it did, for the
// caller to take it back with Remove; it is false where another process did the same
// at the same time. Other firewalls it leaves alone: for them there is advice. After
// an error the rules are as before.
func (b Bridge) Accept(ctx context.Context) (added bool, rest Advice, err error) {
	f, err := newFirewall(ctx, b, shown)
	if f == nil || err != nil {
		return false, Advice{}, err
	}
	defer f.close()
	to, alone, err := f.addAll(ctx)
	if err == nil {
		rest, err = f.advice(ctx)
	}
	if err == nil {
		return alone, rest, nil
	}
	if stays := f.takeBack(ctx, to); stays != nil {
		err = fmt.Errorf("%w (and a rule stays: %w)", err, stays)
	}
	return false, Advice{}, err
}

// Remove removes the rules that Accept made for this bridge, of both families, also
// where no frames are shown to the firewall any more. Rules that are gone already are
// no error.
func (b Bridge) Remove(ctx context.Context) error {
	f, err := newFirewall(ctx, b, loaded)
	if f == nil || err != nil {
		return err
	}
	defer f.close()
	return f.remove(ctx)
}

// Bridges returns the names of the bridges that Accept made rules for.
func Bridges(ctx context.Context, do Do) ([]string, error) {
	f, err := newFirewall(ctx, Bridge{Do: do}, loaded)
	if f == nil || err != nil {
		return nil, err
	}
	defer f.close()
	var names []string
	for _, c := range f.chains {
		if !isDocker(c) {
			continue
		}
		rules, err := f.rules(ctx, c)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			if name := madeFor(r); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// addAll adds the rule for every family. It returns those that it added one for, also
// with an error, and whether nobody else did.
func (f *firewall) addAll(ctx context.Context) (added []ipFamily, alone bool, err error) {
	for _, fam := range f.families {
		ok, err := f.add(ctx, fam)
		if ok {
			added = append(added, fam)
		}
		if err != nil {
			return added, false, err
		}
	}
	alone = len(added) > 0
	for _, fam := range added {
		one, err := f.single(ctx, fam)
		if err != nil {
			return added, false, err
		}
		alone = alone && one
	}
	return added, alone, nil
}

// takeBackTime bounds what takes a rule back after a failure.
const takeBackTime = 2 * time.Second

// takeBack removes the rules just added, over a new connection: this one ended
// with ctx, or does not work.
func (f *firewall) takeBack(ctx context.Context, added []ipFamily) error {
	ctx, cancel := context.WithTimeout(fault.Off(ctx), takeBackTime)
	defer cancel()
	again, err := newFirewall(ctx, f.bridge, func(context.Context) ([]ipFamily, error) { return added, nil })
	if again == nil || err != nil {
		return err
	}
	defer again.close()
	return again.remove(ctx)
}

// shown returns the families whose bridged frames the calling thread's network
// namespace shows to its firewall. Two small reads tell that there are none.
func shown(ctx context.Context) ([]ipFamily, error) {
	var on []ipFamily
	for _, fam := range ipFamilies {
		value, err := bridgeSysctl(ctx, fam)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // no br_netfilter
		}
		if err != nil {
			return nil, err
		}
		if value != '0' {
			on = append(on, fam)
		}
	}
	return on, nil
}

// loaded returns both families where the kernel has br_netfilter, and none
// where it has not.
func loaded(ctx context.Context) ([]ipFamily, error) {
	_, err := bridgeSysctl(ctx, ipFamilies[0])
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return ipFamilies, err
}

// bridgeSysctl reads br_netfilter's switch for this family, '0' or '1', in the
// calling thread's network namespace. Before Linux 5.3 there is one for all, to
// be seen in the initial namespace only.
func bridgeSysctl(ctx context.Context, fam ipFamily) (byte, error) {
	if err := fault.Step(ctx, "read bridge-nf-call-"+fam.tool); err != nil {
		return 0, err
	}
	value := [1]byte{'0'}
	_, err := readStart("/proc/sys/net/bridge/bridge-nf-call-"+fam.tool, value[:])
	return value[0], err
}

// readStart reads the beginning of a file of /proc, without the poller's cost.
func readStart(path string, b []byte) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	n, err := unix.Read(fd, b)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return n, nil
}
