package watch

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// families are the metrics, with their type and meaning; all begin with pipework_.
var families = map[string][2]string{
	"attachments":            {"gauge", "Interfaces that are plugged in as declared, but for what is not mended."},
	"guests":                 {"gauge", "Running guests that have something declared."},
	"guests_failing":         {"gauge", "Guests of which something is tried again."},
	"source_connected":       {"gauge", "Whether the events of a runtime arrive."},
	"source_failures_total":  {"counter", "How often the events of a runtime broke off or could not be had."},
	"synchronisations_total": {"counter", "How often all containers of a runtime were looked at."},
	"events_total":           {"counter", "Events of runtimes."},
	"deaths_total":           {"counter", "Guests whose process has ended."},
	"plugged_total":          {"counter", "Interfaces plugged in."},
	"mended_total":           {"counter", "Interfaces found that had drifted, and mended."},
	"found_total":            {"counter", "Interfaces found as declared."},
	"compared_total":         {"counter", "Comparisons of a running guest's interfaces with what is declared."},
	"failures_total":         {"counter", "Attempts that failed."},
	"refused_total":          {"counter", "Declarations that were not honoured."},
	"leases_total":           {"counter", "What happened to DHCP leases."},
	"collected_total":        {"counter", "What dead guests left behind and was taken away."},
	"damaged_total":          {"counter", "Records that were damaged and set aside."},
	"plug_seconds_sum":       {"counter", "Time spent plugging in, in seconds."},
	"plug_seconds_count":     {"counter", "Interfaces that the time was spent on."},
}

// A metrics is a set of counters. The zero value is empty.
type metrics struct {
	mu     sync.Mutex
	values map[sample]float64
}

// A sample is a family's name and one label, or none.
type sample struct{ family, label, value string }

func (m *metrics) change(s sample, f func(float64) float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = map[sample]float64{}
	}
	m.values[s] = f(m.values[s])
}

// named is the sample of a family; label is nothing, or a name and a value.
func named(family string, label []string) sample {
	s := sample{family: family}
	if len(label) == 2 {
		s.label, s.value = label[0], label[1]
	}
	return s
}

func (m *metrics) add(family string, label ...string) {
	m.change(named(family, label), func(v float64) float64 { return v + 1 })
}

func (m *metrics) set(family string, v float64, label ...string) {
	m.change(named(family, label), func(float64) float64 { return v })
}

func (m *metrics) observe(d time.Duration) {
	m.change(sample{family: "plug_seconds_sum"}, func(v float64) float64 { return v + d.Seconds() })
	m.add("plug_seconds_count")
}

// WriteMetrics writes counters in Prometheus' text format, version 0.0.4. It may be
// called at any time.
func (w *Watcher) WriteMetrics(out io.Writer) error {
	w.metrics.mu.Lock()
	values := maps.Clone(w.metrics.values)
	w.metrics.mu.Unlock()
	byFamily := map[string][]string{}
	for s, v := range values {
		line := "pipework_" + s.family
		if s.label != "" {
			line += fmt.Sprintf(`{%s="%s"}`, s.label, strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s.value))
		}
		byFamily[s.family] = append(byFamily[s.family], fmt.Sprintf("%s %g\n", line, v))
	}
	var text strings.Builder
	for _, family := range slices.Sorted(maps.Keys(families)) {
		lines := byFamily[family]
		if len(lines) == 0 && !strings.Contains(family, "source_") && family != "events_total" && family != "leases_total" {
			lines = []string{"pipework_" + family + " 0\n"}
		}
		if len(lines) == 0 {
			continue // which has a label that is not known yet
		}
		slices.Sort(lines)
		fmt.Fprintf(&text, "# HELP pipework_%s %s\n# TYPE pipework_%s %s\n%s", family, families[family][1], family, families[family][0], strings.Join(lines, ""))
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// Healthy says whether the events of every source arrive.
func (w *Watcher) Healthy() error {
	w.metrics.mu.Lock()
	defer w.metrics.mu.Unlock()
	for _, s := range w.Sources {
		if w.metrics.values[sample{"source_connected", "source", s.String()}] != 1 {
			return fmt.Errorf("no events of containers arrive from %s", s)
		}
	}
	return nil
}
