package uplink

import (
	"context"
	"errors"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/ifconf"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// Settings that are otherwise while addresses move, by their paths in a record of [ifconf.Read].
const (
	rpFilter   = "/proc/sys/net/ipv4/conf/NAME/rp_filter"
	dadSetting = "/proc/sys/net/ipv6/conf/NAME/accept_dad"
	acceptRA   = "/proc/sys/net/ipv6/conf/NAME/accept_ra"
)

func acceptDAD(name string) string { return strings.Replace(dadSetting, "NAME", name, 1) }

// setting is the value of a setting; "" where the kernel does not have it.
func (m mover) setting(ctx context.Context, path string) (value string, err error) {
	err = m.do(ctx, func() error {
		b, _ := os.ReadFile(path)
		value = strings.TrimSpace(string(b))
		return nil
	})
	return value, err
}

// set sets a setting that the kernel may not have.
func (m mover) set(ctx context.Context, path, value string) error {
	if value == "" {
		return nil
	}
	_, err := ifconf.Set(ctx, m.do, path, value)
	if errors.As(err, new(*os.PathError)) {
		return nil
	}
	return err
}

// conf are the settings that the bridge is to have: the NIC's.
func (j *job) conf(ctx context.Context, nic *rtnl.Link) (map[string]string, error) {
	return ifconf.Read(ctx, j.do, nic.Name)
}

// meanwhile are the settings that a link is to have while addresses move to it or from it: an
// address is usable at once, as nobody else has it; and what comes in by the bridge is not
// dropped because the way back is by the NIC (the kernel takes the larger rp_filter of the link's
// and that of all); and the kernel makes no addresses of advertisements, which would come before
// others.
func (j *job) meanwhile(ctx context.Context, conf map[string]string) (map[string]string, error) {
	conf = maps.Clone(conf)
	all, err := j.setting(ctx, "/proc/sys/net/ipv4/conf/all/rp_filter")
	if all != "0" || conf[rpFilter] != "0" {
		conf[rpFilter] = "2"
	}
	if conf[dadSetting] != "" {
		conf[dadSetting], conf[acceptRA] = "0", "0"
	}
	return conf, err
}

// configure gives the bridge the settings.
func (j *job) configure(ctx context.Context, conf map[string]string) error {
	return ifconf.Write(ctx, j.do, j.Bridge, conf, func(err error) {
		j.warn("%s does not have all settings of %s: %v", j.Bridge, j.NIC, err)
	})
}

// settle ends what was so meanwhile.
func (j *job) settle(ctx context.Context, conf map[string]string) error {
	some := map[string]string{}
	for _, path := range []string{rpFilter, dadSetting, acceptRA} {
		if value, is := conf[path]; is {
			some[path] = value
		}
	}
	return j.configure(ctx, some)
}

// lockTime bounds the wait for those who remove bridges that nobody uses.
const lockTime = 2 * time.Second

// hold keeps others from removing, or beginning to use, the bridge.
func (j *job) hold(ctx context.Context) (unlock func()) {
	unlock, err := j.host.Lock(ctx, lockTime)
	if err != nil {
		return func() {}
	}
	return unlock
}
