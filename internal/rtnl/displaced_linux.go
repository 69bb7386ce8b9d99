package rtnl

import (
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The copy of a default route that an interface displaced bears a mark, by which it is told
// from what others have in tables of like numbers: the metric "reordering" (of RTA_METRICS),
// which nothing looks at in a table that no rule looks into. All else is as it was.
const (
	rtaxReordering = 9          // RTAX_REORDERING of linux/rtnetlink.h
	savedMark      = 0x70770000 // "pw"
	savedLearned   = savedMark | 1
)

// learnedMetric is added to the metric of the copy of a learned route, so that the kernel
// does not make one route with several next hops of it and another copy.
const learnedMetric = 1 << 31

// Kept is the route as it is kept, marked; learned says that the kernel learned it from a
// router, which is then to be had again in no other way. One that has such a metric of its
// own is kept without a mark.
func (r Route) Kept(table uint32) Route { return r.InTable(table).marked(savedMark) }

// KeptLearned is Kept for a route that the kernel learned from a router, without an end: it
// only says on which interface that was.
func (r Route) KeptLearned(table uint32) Route {
	return r.Lasting().InTable(table).withMetric(r.Metric ^ learnedMetric).marked(savedLearned)
}

// IsKept says whether the route bears the mark of a kept one.
func (r Route) IsKept() bool { return r.mark()&^1 == savedMark }

// IsKeptLearned says whether the kernel learned the route that this is kept for.
func (r Route) IsKeptLearned() bool { return r.mark() == savedLearned && r.Index != 0 }

// eachLearned has kept learned routes one by one: of those with the same metric the kernel has
// made one route with several next hops.
func eachLearned(routes []Route) (each []Route) {
	for _, r := range routes {
		if r.mark() != savedLearned || r.Index != 0 {
			each = append(each, r)
			continue
		}
		others := slices.DeleteFunc(slices.Clone(r.attrs), func(a nlAttr) bool { return a.attrType == unix.RTA_MULTIPATH })
		for _, hop := range r.Hops() {
			one := r
			one.Index, one.Gateway = hop.Index, hop.Gateway
			one.attrs = append(slices.Clone(others), nlAttr{unix.RTA_OIF, nl.Uint32Attr(uint32(hop.Index))})
			if hop.Gateway.IsValid() {
				one.attrs = append(one.attrs, nlAttr{unix.RTA_GATEWAY, hop.Gateway.AsSlice()})
			}
			each = append(each, one)
		}
	}
	return each
}

// Original is the route as it was in the main table, before it was kept.
func (r Route) Original() Route {
	was := r.InTable(unix.RT_TABLE_MAIN)
	if r.IsKeptLearned() {
		was = was.withMetric(r.Metric ^ learnedMetric)
	}
	if !r.IsKept() {
		return was
	}
	was.attrs = nil
	for _, a := range r.attrs {
		if a.attrType == unix.RTA_METRICS {
			a.value = withoutMark(a.value)
		}
		if a.attrType != unix.RTA_METRICS || len(a.value) > 0 {
			was.attrs = append(was.attrs, a)
		}
	}
	return was
}

// mark is the value of the metric that marks; 0 where the route has none.
func (r Route) mark() uint32 {
	for _, a := range r.attrs {
		if v := Attr(a.value, rtaxReordering); a.attrType == unix.RTA_METRICS && len(v) == 4 {
			return u32(v)
		}
	}
	return 0
}

func (r Route) marked(mark uint32) Route {
	if r.mark() != 0 {
		return r
	}
	metrics := message(nil)
	r.attrs = slices.DeleteFunc(slices.Clone(r.attrs), func(a nlAttr) bool {
		if a.attrType == unix.RTA_METRICS {
			metrics = append(metrics, a.value...)
		}
		return a.attrType == unix.RTA_METRICS
	})
	metrics.attrU32(rtaxReordering, mark)
	r.attrs = append(r.attrs, nlAttr{unix.RTA_METRICS, metrics})
	return r
}

// withoutMark are the metrics but the one that marks.
func withoutMark(metrics []byte) []byte {
	var left message
	for attr, value := range attrs(metrics) {
		if attr != rtaxReordering {
			left.attr(attr, value...)
		}
	}
	return left
}

// withMetric is the route with another metric than it has.
func (r Route) withMetric(metric uint32) Route {
	r.attrs = slices.DeleteFunc(slices.Clone(r.attrs), func(a nlAttr) bool { return a.attrType == unix.RTA_PRIORITY })
	if r.Metric = metric; metric != 0 {
		r.attrs = append(r.attrs, nlAttr{unix.RTA_PRIORITY, nl.Uint32Attr(metric)})
	}
	return r
}
