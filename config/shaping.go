package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-pipework/pipework/link"
)

// shaping reads what --egress and --ingress say: rate=10mbit,delay=20ms,jitter=5ms,loss=1%.
func shaping(option string, to **link.Shaping) func(string) error {
	return func(text string) error {
		var s link.Shaping
		err := keyed(option, text, map[string]func(string) error{
			"rate": rate(&s.Rate), "delay": duration(&s.Delay), "jitter": duration(&s.Jitter), "loss": loss(&s.Loss),
		})
		if err != nil {
			return err
		}
		if err := s.Validate(); err != nil {
			return fmt.Errorf("%s %q: %w", option, text, err)
		}
		*to = &s
		return nil
	}
}

// units are those of tc(8) for bits a second; the longer ones come first.
var units = []struct {
	name string
	bits float64
}{{"kibit", 1 << 10}, {"mibit", 1 << 20}, {"gibit", 1 << 30}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {"tbit", 1e12}, {"bit", 1}}

func rate(to *int64) func(string) error {
	return func(text string) error {
		number, bits := strings.ToLower(text), 1.0
		for _, u := range units {
			if n, is := strings.CutSuffix(number, u.name); is {
				number, bits = n, u.bits
				break
			}
		}
		n, err := strconv.ParseFloat(number, 64)
		if n *= bits; err != nil || !(n >= 0 && n < math.MaxInt64) {
			return errors.New("is no rate: write one such as 10mbit or 500kbit")
		}
		*to = int64(n)
		return nil
	}
}

func duration(to *time.Duration) func(string) error {
	return func(text string) error {
		d, err := time.ParseDuration(text)
		if *to = d; err != nil {
			return errors.New("is no time: write one such as 20ms")
		}
		return nil
	}
}

func loss(to *float64) func(string) error {
	return func(text string) error {
		n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		if *to = n; err != nil {
			return errors.New("is no percentage: write one such as 1%")
		}
		return nil
	}
}

func shapingText(s *link.Shaping) string {
	if s == nil {
		return ""
	}
	text := piece(",rate=", s.Rate) + piece(",delay=", s.Delay) + piece(",jitter=", s.Jitter) + piece(",loss=", s.Loss)
	if s.Loss != 0 {
		text += "%"
	}
	return strings.TrimPrefix(text, ",")
}
