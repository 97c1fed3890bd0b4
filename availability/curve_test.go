package availability

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// two users. By hand: A is down 4–6, B 5–9, and both are there all the time, so the numbers down are
//
//	0–4 none   4–5 one   5–6 both   6–9 one   9–16 none
func two(t *testing.T) []Life {
	a := script("a", at{0, "Available"}, at{4, "Unavailable"}, at{6, "Available"})
	b := script("b", at{0, "Available"}, at{5, "Unavailable"}, at{9, "Available"})
	return []Life{NewLife(a, rules(t, Policy{})), NewLife(b, rules(t, Policy{}))}
}

// point is what is expected of one size: the uptime, and where the worst window is, in minutes; from -1 for none.
type point struct {
	size   int
	uptime string
	from   int
	to     int
}

func TestCurvesByHand(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		lives        []Life
		period       Window
		sizes        []int
		want         []point
	}{
		// One minute: 5–6, both down. Two: 4–6 has 1+2 of 4 down, no other has more. Four: 4–8 has 1+2+1+1 of 8.
		// Eight: all 6 of 16, first in 1–9. The whole: 6 of 32.
		{"overlap", "outages that overlap make a worse window than each of them", two(t), window(0, 16), nil,
			[]point{{1, "0%", 5, 6}, {2, "25%", 4, 6}, {4, "37.5%", 4, 8}, {8, "62.5%", 1, 9}, {16, "81.25%", 0, 16}}},
		// Pending 0–10, up 10–20, down 20–21, up 21–24, gone at 24. Two: 19–21 is the first with the whole minute down. Four: 17–21, 3 of 4
		// up. Eight: 20–28 counts 20–24 only, 3 of 4 up. Sixteen: 20–36 as well. 32 and the whole contain everything: 13 of 14.
		{"partOfTheTime", "time that does not count has no weight, wherever the window is",
			[]Life{life(t, at{0, "Provisioning"}, at{10, "Available"}, at{20, "Unavailable"}, at{21, "Available"}, at{24, "Deleting"}, at{30, ""})},
			window(0, 40), nil, []point{{1, "0%", 20, 21}, {2, "50%", 19, 21}, {4, "75%", 17, 21}, {8, "75%", 20, 28}, {16, "75%", 20, 36},
				{32, "92.8571%", 0, 32}, {40, "92.8571%", 0, 40}}},
		// Down in the first and the third hour. Two hours have one of them at most: 50%. Three have two: 33%, which two hours show as well.
		{"notMultiple", "a larger window can be worse when it is no multiple; the curve must not fall",
			[]Life{life(t, at{-9, "Available"}, at{0, "Unavailable"}, at{60, "Available"}, at{120, "Unavailable"}, at{180, "Available"})},
			window(0, 180), []int{120, 60, 180, 120, 240, 0}, []point{{60, "0%", 0, 60}, {120, "33.3333%", 0, 180}, {180, "33.3333%", 0, 180}}},
		{"alwaysUp", "without an outage the first window is as bad as any", []Life{life(t, at{0, "Available"})}, window(0, 4), nil,
			[]point{{1, "100%", 0, 1}, {2, "100%", 0, 2}, {4, "100%", 0, 4}}},
		{"nobody", "no objects, no data", nil, window(0, 2), nil, []point{{1, "no data", -1, -1}, {2, "no data", -1, -1}}},
		{"empty", "no time, no windows", two(t), window(5, 5), nil, []point{}},
		{"createdWithin", "before its creation an object is not there: the first window that counts any of it begins before it",
			[]Life{life(t, at{-5, "Available"}, at{-4, "Deleting"}), life(t, at{3, "Available"})}, window(0, 4), nil,
			[]point{{1, "100%", 3, 4}, {2, "100%", 2, 4}, {4, "100%", 0, 4}}},
	} {
		var sizes []time.Duration
		for _, n := range c.sizes {
			sizes = append(sizes, time.Duration(n)*time.Minute)
		}
		got := CurveOf(c.lives, c.period, sizes...)
		if len(got.Points) != len(c.want) || got.Period != c.period {
			t.Errorf("%s: got\n%s\nwant %v, as %s", c.name, got, c.want, c.reason)
			continue
		}
		for i, w := range c.want {
			p, worst := got.Points[i], Window{}
			if w.from >= 0 {
				worst = window(w.from, w.to)
			}
			if p.Size != minutes(w.size) || p.Uptime.String() != w.uptime || p.Worst != worst || p.Uptime != RatioOf(p.Up, p.Down) {
				t.Errorf("%s: point %d is %+v, want %v, as %s", c.name, i, p, w, c.reason)
			}
		}
	}
}

// crowd is so many objects that are up, and down, from one minute to the next row's.
type crowd struct{ from, up, down int }

func (c crowd) lives(t *testing.T, to int) []Life {
	var all []Life
	for range c.up {
		all = append(all, NewLife(script("up", at{c.from, "Available"}, at{to, ""}), rules(t, Policy{})))
	}
	for range c.down {
		all = append(all, NewLife(script("down", at{c.from, "Unavailable"}, at{to, ""}), rules(t, Policy{FromCreation: true})))
	}
	return all
}

// TestWorstAtOneStepOnly: in each of these the worst window of four minutes meets one step only, at which up and down change in the same
// direction, and nothing else shows it.
func TestWorstAtOneStepOnly(t *testing.T) {
	for _, c := range []struct {
		reason string
		rows   []crowd
		want   point
	}{
		// 10–14: 2·11 + 2·21 = 64 up, 2 + 2 down: 64/68. 8–12: 42/44. From 12 on 21/22.
		{"it begins where more of both come", []crowd{{0, 10, 0}, {10, 11, 1}, {12, 21, 1}}, point{4, "94.1176%", 10, 14}},
		{"it ends where more of both go", []crowd{{0, 21, 1}, {18, 11, 1}, {20, 10, 0}}, point{4, "94.1176%", 16, 20}},
		// 10–14: 2·1 + 2·4 = 10 up, 2·3 + 2·9 = 24 down: 10/34. 8–12: 6/20. From 12 on 4/13.
		{"it begins where more of both go", []crowd{{0, 2, 4}, {10, 1, 3}, {12, 4, 9}}, point{4, "29.4117%", 10, 14}},
		{"it ends where more of both come", []crowd{{0, 4, 9}, {18, 1, 3}, {20, 2, 4}}, point{4, "29.4117%", 16, 20}},
	} {
		var all []Life
		for i, row := range c.rows {
			to := 30
			if i+1 < len(c.rows) {
				to = c.rows[i+1].from
			}
			all = append(all, row.lives(t, to)...)
		}
		got := CurveOf(all, window(0, 30), time.Duration(c.want.size)*time.Minute).Points[0]
		if got.Uptime.String() != c.want.uptime || got.Worst != window(c.want.from, c.want.to) {
			t.Errorf("%s: got %s in %v, want %v", c.reason, got.Uptime, got.Worst, c.want)
		}
	}
}

func TestSizes(t *testing.T) {
	month := Sizes(30 * 24 * time.Hour)
	// 2^15 minutes are 32,768 of the month's 43,200: 16 powers from 2^0 on, and the month.
	if n := len(month); n != 17 || month[0] != time.Minute || month[15] != 32768*time.Minute || month[16] != 30*24*time.Hour {
		t.Errorf("sizes for a month: %v", month)
	}
	for _, c := range []struct {
		period time.Duration
		want   int
		reason string
	}{
		{0, 0, "an empty period has no windows"},
		{time.Second, 1, "below a minute there is the period only"},
		{time.Minute, 1, "the period is not named twice"},
		{4 * time.Minute, 3, "nor when it is a power of two"},
		{1<<63 - 1, 29, "doubling must not overflow: 2^27 minutes are 255 years, and 292 years are the longest"},
	} {
		if got := Sizes(c.period); len(got) != c.want || c.want > 0 && got[len(got)-1] != c.period {
			t.Errorf("%s: %d sizes, want %d, as %s", c.period, len(got), c.want, c.reason)
		}
	}
}

// TestLongestPeriod: the longest window there can be neither overflows nor hangs. Down for a minute in 292 years.
func TestLongestPeriod(t *testing.T) {
	const years = 1<<63 - 1
	l := life(t, at{0, "Available"}, at{5, "Unavailable"}, at{6, "Available"})
	c := CurveOf([]Life{l, l}, Window{t0, t0.Add(years)}, time.Minute, 2*time.Minute, years)
	if p := c.Points; len(p) != 3 || p[0].Worst != window(5, 6) || p[1].Worst != window(4, 6) || p[2].Down != minutes(2) || p[2].Up != times(2, years-int64(time.Minute)) {
		t.Errorf("got\n%s", c)
	}
}

func TestCurveText(t *testing.T) {
	const want = `WINDOW  UPTIME  DOWN  WORST FROM            TO
1m      0%      2m    2026-03-01T12:05:00Z  2026-03-01T12:06:00Z
2m      25%     3m    2026-03-01T12:04:00Z  2026-03-01T12:06:00Z
3m      25%     3m    2026-03-01T12:04:00Z  2026-03-01T12:06:00Z
`
	c := CurveOf(two(t), window(0, 16), time.Minute, 2*time.Minute)
	c.Points = append(c.Points, c.Points[1])
	c.Points[2].Size = minutes(3)
	if got := c.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := CurveOf(nil, window(0, 1)).String(); got != "WINDOW  UPTIME   DOWN  WORST FROM  TO\n1m      no data  0s    -           -\n" {
		t.Errorf("without data: got\n%s", got)
	}
}

// TestGroupsByHand puts four objects together, over 0–20 minutes:
//
//	shop/a    up 0–4, down 4–6, up 6–20      18 up, 2 down, recovered after 2
//	shop/b    up 0–5, down 5–9, up 9–20      16 up, 4 down, recovered after 4
//	bank/c    created at 10, up, down 14–20  4 up, 6 down, open
//	bank/d    never healthy                  nothing counts
func TestGroupsByHand(t *testing.T) {
	c := script("c", at{10, "Available"}, at{14, "Unavailable"})
	d := script("d", at{0, "Provisioning"}, at{3, "Failed"})
	c.Key.Namespace, d.Key.Namespace = "bank", "bank"
	d.Key.Kind = "Queue.test"
	lives := append(two(t), NewLife(c, rules(t, Policy{})), NewLife(d, rules(t, Policy{})))
	reports := make([]Report, len(lives))
	for i, l := range lives {
		reports[i] = l.Report(window(0, 20))
	}
	for _, x := range []struct {
		by     Grouping
		reason string
		want   string
	}{
		// 18+16+4 = 38 up, 2+4+6 = 12 down: 38/50. Uncounted: c 10, d 20. MTTR (2+4)/2, p50 2, p99 4; 38/2 = 19 between.
		{ByAll, "everything, the worst first", `GROUP  OBJECTS  UPTIME  UP   DOWN  UNKNOWN  OUTAGES  OPEN  MTTR  P50  P99  MTBF
all    4        76%     38m  12m   0s       3        1     3m    2m   4m   19m

WORST                 AVAILABILITY  DOWN  OUTAGES
Database.test/bank/c  40%           6m    1
Database.test/shop/b  80%           4m    1
`},
		// The bank's: 4 of 10; nothing recovered. The shop's: 34 of 40, 34/2 = 17 between.
		{ByNamespace, "each tenant", `GROUP  OBJECTS  UPTIME  UP   DOWN  UNKNOWN  OUTAGES  OPEN  MTTR  P50  P99  MTBF
bank   2        40%     4m   6m    0s       1        1     -     -    -    -
shop   2        85%     34m  6m    0s       2        0     3m    2m   4m   17m

WORST                 AVAILABILITY  DOWN  OUTAGES
Database.test/bank/c  40%           6m    1
Database.test/shop/b  80%           4m    1
Database.test/shop/a  90%           2m    1
`},
		{ByKind, "each kind", `GROUP          OBJECTS  UPTIME   UP   DOWN  UNKNOWN  OUTAGES  OPEN  MTTR  P50  P99  MTBF
Database.test  3        76%      38m  12m   0s       3        1     3m    2m   4m   19m
Queue.test     1        no data  0s   0s    0s       0        0     -     -    -    -

WORST                 AVAILABILITY  DOWN  OUTAGES
Database.test/bank/c  40%           6m    1
Database.test/shop/b  80%           4m    1
`},
	} {
		groups, err := GroupBy(reports, x.by, 2)
		if err != nil || groups.String() != x.want {
			t.Errorf("%s (%s): %v\ngot\n%s\nwant\n%s", x.by, x.reason, err, groups, x.want)
		}
	}
	all, err := GroupBy(reports, ByAll, -1)
	if err != nil || all[0].Counted != 3 || all[0].Uncounted != minutes(30) || all[0].Longest != minutes(6) || len(all[0].Worst) != 0 {
		t.Errorf("got %+v, %v", all, err)
	}
	if data, err := json.Marshal(all[0].Worst); err != nil || string(data) != "[]" {
		t.Errorf("no worst objects are an empty list, got %s, %v", data, err)
	}
	if none, err := GroupBy(nil, ByAll, 3); err != nil || len(none) != 0 {
		t.Errorf("without reports there is no group, got %v, %v", none, err)
	}
	if g, err := GroupBy([]Report{{Object: resource.Key{Kind: "Zone.test", Name: "z"}}}, ByNamespace, 1); err != nil || g[0].Name != "-" {
		t.Errorf("an object without a namespace is under a dash, got %v, %v", g, err)
	}
}
