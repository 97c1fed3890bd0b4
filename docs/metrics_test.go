package docs

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/telemetry"
)

// TestMetrics keeps docs/reference/metrics.md true.
func TestMetrics(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Metrics\n\n<!-- Written from package telemetry: go test ./docs -update. Do not edit. -->\n\n")
	b.WriteString("A server answers `GET /metrics` in the Prometheus text format; a program that embeds a plane makes a `telemetry.Metrics`, passes it as\n`Config.Meter`, and serves its `Handler`.\n")
	b.WriteString("Beside these there are the usual `go_…` and `process_…` metrics.\n")
	describeMetrics(&b, "##", telemetry.Definitions())
	b.WriteString("\n## Alerts\n\nWhat is in trouble, and who was told: [how to](../how-to/alerts.md). A program that embeds a plane calls `WatchAlerts`.\n")
	describeMetrics(&b, "###", telemetry.AlertDefinitions())
	b.WriteString("\n## Availability\n\nComputed when the metrics are read, at most once a minute, over the last 30 days or `--availability-window`: [how to](../how-to/availability.md). A program that embeds a\nplane calls `WatchAvailability`.\n")
	describeMetrics(&b, "###", telemetry.AvailabilityDefinitions())
	b.WriteString("\n## On PostgreSQL\n\nA server on PostgreSQL serves these too; a program that embeds a plane calls `WatchPostgres`. What the database says is asked for when\n")
	b.WriteString("the metrics are read, at most every 15 s, and left out when it does not answer within 2 s. What is worth an alert is in\n[how to run on PostgreSQL](../how-to/run-on-postgresql.md#what-to-watch).\n")
	describeMetrics(&b, "###", telemetry.PostgresDefinitions())
	generated(t, "reference/metrics.md", b.String())
}

func describeMetrics(b *strings.Builder, level string, list []telemetry.Metric) {
	for _, m := range list {
		fmt.Fprintf(b, "\n%s `%s`\n\n*%s.* %s\n\n%s\n", level, m.Name, m.Kind, m.Help, m.Use)
		if len(m.Labels) > 0 {
			b.WriteString("\n| label | values |\n| --- | --- |\n")
		}
		for _, l := range m.Labels {
			fmt.Fprintf(b, "| `%s` | %s |\n", l.Name, values(l))
		}
		if len(m.Buckets) > 0 {
			fmt.Fprintf(b, "\nBuckets: %s\n", buckets(m))
		}
	}
}

func values(l telemetry.Label) string {
	if len(l.Values) == 0 {
		return "the name of the " + l.Name
	}
	words := make([]string, len(l.Values))
	for i, v := range l.Values {
		words[i] = "`" + v + "`"
		if v == "" {
			words[i] = "empty for none"
		}
	}
	return strings.Join(words, ", ")
}

func buckets(m telemetry.Metric) string {
	words := make([]string, len(m.Buckets))
	for i, v := range m.Buckets {
		words[i] = strconv.FormatFloat(v, 'g', -1, 64)
		if strings.HasSuffix(m.Name, "_seconds") {
			words[i] = time.Duration(v * float64(time.Second)).Round(time.Microsecond).String()
		}
	}
	return strings.Join(words, ", ")
}
