package pg

import "testing"

func TestBenchCountsTransactionsAndProcessorTime(t *testing.T) {
	s := Shared(t)
	database := s.Database(t)
	if _, err := Query(t.Context(), database, "CREATE TABLE kept (i int)"); err != nil {
		t.Fatal(err)
	}
	measured := s.Bench(t, database, Load{
		Script:       "INSERT INTO kept SELECT :base + i FROM generate_series(1, 1000) i;\n",
		Clients:      4,
		Transactions: 50,
		Variables:    map[string]string{"base": "7"},
	})
	if measured.Transactions != 200 || measured.Failed != 0 {
		t.Errorf("%d transactions and %d failures, want 200 and none", measured.Transactions, measured.Failed)
	}
	if measured.ServerCPU <= 0 || measured.PerSecond <= 0 || measured.Latency <= 0 {
		t.Errorf("measured nothing: %+v", measured)
	}
	rows, err := Query(t.Context(), database, "SELECT count(*), min(i) FROM kept")
	if err != nil || rows[0][0] != "200000" || rows[0][1] != "8" {
		t.Errorf("the table holds %v (%v), want 200000 rows from 8", rows, err)
	}
}

func TestBenchReportsAreRead(t *testing.T) {
	report := "number of transactions actually processed: 12/12\nlatency average = 1.5 ms\ntps = 80.25 (without initial connection time)\n"
	measured, err := parseBench(report)
	if err != nil || measured.Transactions != 12 || measured.PerSecond != 80.25 || measured.Latency.Microseconds() != 1500 {
		t.Errorf("version 14: %+v, %v", measured, err)
	}
	if _, err := parseBench("number of transactions actually processed: 12/12"); err == nil {
		t.Error("a report without a rate was read")
	}
}

func TestCPUOfEndedSessionsIsKept(t *testing.T) {
	s := Start(t)
	before := s.CPU(t)
	s.Exec(t, "postgres", "SELECT count(*) FROM generate_series(1, 3000000)")
	if after := s.CPU(t); after <= before {
		t.Errorf("%v after %v: the session's time is missing", after, before)
	}
}
